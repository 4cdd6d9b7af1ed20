// Starts what the tests talk to: a throwaway PostgreSQL, the migrations, the service. Everything is stopped again.
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { freePort } from "./port.mjs";

const run = promisify(execFile);
export const BILLING = fileURLToPath(new URL("../..", import.meta.url));
export const REPOSITORY = fileURLToPath(new URL("../../../..", import.meta.url));
const POSTGRES = join(REPOSITORY, "tools/postgres.sh");

/** A PostgreSQL of its own, in a temporary folder. `create(name)` makes an empty database and gives its URL. */
export async function startPostgres() {
  const folder = await mkdtemp(join(tmpdir(), "billing-pg-"));
  const { stdout } = await run(POSTGRES, ["start", folder], { timeout: 60_000 });
  const url = stdout.trim();
  return {
    url,
    async create(name) {
      const { default: pg } = await import("pg");
      const client = new pg.Client({ connectionString: url });
      await client.connect();
      await client.query(`CREATE DATABASE ${client.escapeIdentifier(name)}`);
      await client.end();
      const made = new URL(url);
      made.pathname = `/${name}`;
      return made.href;
    },
    async stop() {
      await run(POSTGRES, ["stop", folder], { timeout: 60_000 });
    },
  };
}

/** Applies the migrations of the build in `folder`. */
export const migrate = (databaseUrl, folder = BILLING) =>
  run(process.execPath, [join(folder, "dist/migrate.js")], {
    env: { ...process.env, DATABASE_URL: databaseUrl },
    timeout: 60_000,
  });

/** The service from the build in `folder`. Resolves when it answers on its port at all, or has exited. */
export async function startService({ databaseUrl, folder = BILLING, env = {} }) {
  const port = await freePort();
  const child = spawn(process.execPath, [join(folder, "dist/main.js")], {
    env: { PATH: process.env.PATH, HOST: "127.0.0.1", PORT: String(port), DATABASE_URL: databaseUrl, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const keep = (bytes) => {
    output = (output + bytes).slice(-64 * 1024);
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  const exited = once(child, "exit").then(([code, signal]) => ({ code, signal }));
  const service = {
    url: `http://127.0.0.1:${port}`,
    port,
    child,
    exited,
    output: () => output,
    running: () => child.exitCode === null && child.signalCode === null,
    /** SIGTERM, and SIGKILL if that is not enough. How it ended. */
    async stop() {
      if (service.running()) child.kill("SIGTERM");
      const late = sleep(12_000, undefined, { ref: false }).then(() => child.kill("SIGKILL"));
      return Promise.race([exited, late.then(() => exited)]);
    },
  };
  const deadline = Date.now() + 60_000;
  while (service.running() && Date.now() < deadline) {
    // Any answer will do: whether it is well is the question of a test.
    const answers = await fetch(`${service.url}/metrics`, { signal: AbortSignal.timeout(1_000) }).catch(() => undefined);
    await answers?.arrayBuffer();
    if (answers) return service;
    await sleep(50);
  }
  if (service.running()) throw new Error(`the service does not listen within 60 s:\n${output}`);
  return service;
}
