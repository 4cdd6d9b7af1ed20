import type { Socket } from "node:net";
import { buildApp } from "./app.js";
import { ConfigError, readConfig } from "./config.js";

/** How long requests that are running may take to finish after SIGTERM. Below the ten seconds that container engines wait. */
const DRAIN_MS = 8_000;

async function main(): Promise<void> {
  const config = readConfig(process.env);
  const app = await buildApp(config, Date.now);

  let stopping = false;
  // Connections without a request: Node ends those that have had one, and waits for a first request on the others.
  const unused = new Set<Socket>();
  const unuse = (socket: Socket) => {
    if (socket.destroyed) return;
    if (stopping) socket.destroy();
    else unused.add(socket);
  };
  app.server.on("connection", (socket: Socket) => {
    socket.once("close", () => unused.delete(socket));
    unuse(socket);
  });
  app.server.prependListener("request", ({ socket }, response) => {
    unused.delete(socket);
    response.once("close", () => unuse(socket));
  });
  const stop = (signal: NodeJS.Signals) => {
    if (stopping) process.exit(1);
    stopping = true;
    app.log.info({ signal }, "stopping: no new connections, running requests finish");
    setTimeout(() => {
      app.log.error("stopping: requests did not finish in time");
      process.exit(1);
    }, DRAIN_MS).unref();
    for (const socket of unused) socket.destroy();
    app.close().then(
      () => process.exit(0),
      (error: unknown) => {
        app.log.error({ err: error }, "stopping failed");
        process.exit(1);
      },
    );
  };
  process.on("SIGTERM", stop).on("SIGINT", stop);
  await app.listen({ host: config.host, port: config.port });
}

main().catch((error: Error) => {
  const wrongSetting = error instanceof ConfigError;
  process.stderr.write(`billing: ${wrongSetting ? `configuration: ${error.message}` : error.stack}\n`);
  process.exit(wrongSetting ? 2 : 1);
});
