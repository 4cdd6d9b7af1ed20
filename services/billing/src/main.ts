import type { Socket } from "node:net";
import type { FastifyInstance } from "fastify";
import { buildApp } from "./app.js";
import { ConfigError, readConfig } from "./config.js";
import { openPool } from "./store/pool.js";

/** How long requests that are running may take to finish after SIGTERM. Below the ten seconds that container engines wait. */
const DRAIN_MS = 8_000;

async function main(): Promise<void> {
  const config = readConfig(process.env);
  let app: FastifyInstance | undefined;
  const pool = openPool(config.databaseUrl, config.databaseConnections, (error) =>
    app?.log.warn({ err: error }, "lost a connection"),
  );
  const running = await buildApp(config, pool, Date.now);
  app = running;

  let stopping = false;
  // Connections without a request: Node ends those that have had one, and waits for a first request on the others.
  const unused = new Set<Socket>();
  const unuse = (socket: Socket) => {
    if (socket.destroyed) return;
    if (stopping) socket.destroy();
    else unused.add(socket);
  };
  running.server.on("connection", (socket: Socket) => {
    socket.once("close", () => unused.delete(socket));
    unuse(socket);
  });
  running.server.prependListener("request", ({ socket }, response) => {
    unused.delete(socket);
    response.once("close", () => unuse(socket));
  });
  const stop = (signal: NodeJS.Signals) => {
    if (stopping) process.exit(1);
    stopping = true;
    running.log.info({ signal }, "stopping: no new connections, running requests finish");
    setTimeout(() => {
      running.log.error("stopping: requests did not finish in time");
      process.exit(1);
    }, DRAIN_MS).unref();
    for (const socket of unused) socket.destroy();
    const end = running.close().then(() => pool.end());
    end.then(
      () => process.exit(0),
      (error: unknown) => {
        running.log.error({ err: error }, "stopping failed");
        process.exit(1);
      },
    );
  };
  process.on("SIGTERM", stop).on("SIGINT", stop);
  await running.listen({ host: config.host, port: config.port });
}

main().catch((error: unknown) => {
  const text =
    error instanceof ConfigError ? `configuration: ${error.message}` : error instanceof Error ? error.stack : String(error);
  process.stderr.write(`billing: ${text}\n`);
  process.exit(error instanceof ConfigError ? 2 : 1);
});
