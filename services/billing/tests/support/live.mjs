// What the live tests share: the service on a database of its own, sessions beside it, what its answers and its log must look like,
// and ways to take the database away.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { readFile, stat } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import pg from "pg";
import { clientOf, insistentClientOf } from "./client.mjs";
import { migrate, REPOSITORY, startPostgres, startService } from "./service.mjs";

const run = promisify(execFile);

export const PLAN = {
  kind: "per_unit",
  name: "Traffic",
  currency: "EUR",
  fee: "0",
  metric: "traffic",
  unit: "GB",
  unit_price: "1",
};
export const CUSTOMER = { name: "Acme GmbH", country: "DE", time_zone: "Europe/Berlin", currency: "EUR" };
export const USAGE = { metric: "traffic", quantity: "1", unit: "GB", at: "2025-03-10T12:00:00Z" };
/** A month that is long over, and one that is not while these tests are of use. */
export const [MONTH, FUTURE] = ["2025-03", "2099-12"];

/** What was started, so that all of it ends, the newest first, whatever became of the test. `end` is for an `after` hook. */
export function starts() {
  const running = [];
  const end = async () => {
    const failures = [];
    for (const stop of running.splice(0).reverse()) {
      try {
        await stop();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, "not everything could be stopped");
  };
  // A test that is stopped from outside leaves nothing behind either.
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => end().finally(() => process.exit(1)));
  return {
    end,
    keep(it, stop = () => it.stop()) {
      running.push(stop);
      return it;
    },
  };
}

/** A PostgreSQL, and in it a database with the schema. */
export async function startDatabase(started) {
  const postgres = started.keep(await startPostgres());
  const databaseUrl = await postgres.create("billing");
  await migrate(databaseUrl);
  return { postgres, databaseUrl };
}

/** The same, and the service on it. */
export async function startBilling(started, env) {
  const database = await startDatabase(started);
  return { ...database, ...(await startOn(started, database.databaseUrl, env)) };
}

/** The service on a database that is there. */
export async function startOn(started, databaseUrl, env = {}) {
  const service = started.keep(await startService({ databaseUrl, env }));
  return { service, log: logOf(service), call: clientOf(service.url), api: insistentClientOf(service.url) };
}

/** Everything that the service writes from now on, line by line. */
function logOf(service) {
  let text = "";
  for (const stream of [service.child.stdout, service.child.stderr]) stream.on("data", (bytes) => (text += bytes));
  // Whole lines only.
  const lines = () => text.split("\n").slice(0, -1);
  return {
    /** Nothing comes any more. */
    ended: once(service.child, "close"),
    text: () => text,
    lines,
    entries: () => lines().map((line) => JSON.parse(line)),
    /** What broke inside: lines of level 50 and above, and whatever is no log line at all. */
    broken: () => lines().filter((line) => !line.startsWith("{") || JSON.parse(line).level >= 50),
  };
}

/** A session on the database beside the service's. */
export async function session(started, databaseUrl) {
  const client = new pg.Client({ connectionString: databaseUrl, connectionTimeoutMillis: 5_000 });
  client.on("error", () => undefined); // The server is taken away in some tests.
  await client.connect();
  return started.keep(client, () => client.end());
}

/** Runs `work` while another session keeps what `sql` locks. */
export async function whileLocked(client, sql, work) {
  await client.query("BEGIN");
  await client.query(sql);
  try {
    return await work();
  } finally {
    await client.query("ROLLBACK");
  }
}

/** Waits until `found` gives something, and gives that. */
export async function eventually(found, what, ms = 10_000) {
  const deadline = Date.now() + ms;
  for (;;) {
    const it = await found();
    if (it) return it;
    if (Date.now() > deadline) throw new Error(`${what}: not within ${ms} ms`);
    await sleep(20);
  }
}

/** Waits until so many sessions of the service wait for a lock. */
export const waiting = (client, sessions = 1) =>
  eventually(async () => {
    // Within a transaction it would be the same every time.
    await client.query("SELECT pg_stat_clear_snapshot()");
    const { rows } = await client.query(
      "SELECT 1 FROM pg_stat_activity WHERE application_name = 'billing' AND wait_event_type = 'Lock' AND datname = current_database()",
    );
    return rows.length >= sessions;
  }, `${sessions} sessions that wait for a lock`);

/** The answer is a problem document of that status and kind, and says which request it was. */
export function assertProblem(answer, status, code, note = "") {
  const told = `${note} ${answer.status} ${JSON.stringify(answer.body)?.slice(0, 600)}`;
  assert.equal(answer.status, status, told);
  assert.match(answer.headers.get("content-type") ?? "", /^application\/problem\+json\b/, told);
  const { type, title, detail, instance, errors = [], ...rest } = answer.body;
  assert.equal(type, `urn:billing:problem:${code}`, told);
  assert.deepEqual(rest, { status }, told);
  assert.ok(typeof title === "string" && title !== "" && (detail === undefined || typeof detail === "string"), told);
  assert.equal(instance, answer.headers.get("x-request-id"), told);
  assert.ok(errors.length <= 20, told);
  for (const error of errors) {
    assert.deepEqual(Object.keys(error), ["pointer", "detail"], told);
    assert.match(error.pointer, /^\/(body|params|querystring|headers)(\/|$)/, told);
  }
  return answer.body;
}

/** Bytes as they are to the service's port, and all that comes back until it closes, or says nothing for `ms`. */
export async function exchange(port, bytes, ms = 2_000) {
  const socket = connect(port, "127.0.0.1");
  let text = "";
  socket.on("data", (data) => (text += data));
  socket.setTimeout(ms, () => socket.destroy());
  socket.write(bytes);
  await new Promise((resolve) => socket.on("error", () => undefined).on("close", resolve));
  const [head, ...rest] = text.split("\r\n\r\n");
  const [first = "", ...lines] = head.split("\r\n");
  const headers = new Headers(lines.map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]));
  const body = rest.join("\r\n\r\n");
  const json = /json/.test(headers.get("content-type") ?? "");
  return { status: Number(first.split(" ")[1] ?? 0), headers, body: json ? JSON.parse(body) : body, text };
}

/** Takes the server of `postgres` away and brings it back on the same port. */
export async function outageOf(postgres) {
  const client = new pg.Client({ connectionString: postgres.url });
  await client.connect();
  const { rows } = await client.query("SHOW data_directory");
  await client.end();
  const data = rows[0].data_directory;
  const { uid, gid } = await stat(data);
  const { stdout } = await run(join(REPOSITORY, "tools/postgres.sh"), ["bin"]);
  const control = (...args) =>
    // The server refuses to run as root; and it would keep a pipe open.
    run("sh", ["-c", 'exec "$0" "$@" >/dev/null 2>&1', join(stdout.trim(), "pg_ctl"), "-D", data, "-w", "-t", "30", ...args], {
      cwd: data,
      timeout: 60_000,
      ...(process.getuid() === 0 && { uid, gid }),
    });
  return {
    /** How many running server processes the cluster has: none after `down`. */
    down: () => control("-m", "fast", "stop"),
    up: () => control("-o", `-p ${new URL(postgres.url).port}`, "start"),
    pid: async () => Number((await readFile(join(data, "postmaster.pid"), "utf8")).split("\n")[0]),
  };
}

/** A way to the database that can freeze: bytes then neither pass nor are refused. */
export async function startProxy(started, databaseUrl) {
  const target = new URL(databaseUrl);
  const pairs = new Set();
  let frozen = false;
  const server = createServer((near) => {
    const far = connect(Number(target.port), target.hostname);
    const pair = [near, far];
    pairs.add(pair);
    for (const socket of pair) {
      socket.on("error", () => undefined);
      socket.on("close", () => {
        pairs.delete(pair);
        for (const one of pair) one.destroy();
      });
    }
    near.pipe(far);
    far.pipe(near);
    if (frozen) for (const socket of pair) socket.pause();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const way = new URL(databaseUrl);
  way.port = String(server.address().port);
  const each = (act) => {
    for (const pair of pairs) for (const socket of pair) act(socket);
  };
  return started.keep({
    url: way.href,
    freeze() {
      frozen = true;
      each((socket) => socket.pause());
    },
    thaw() {
      frozen = false;
      each((socket) => socket.resume());
    },
    stop() {
      each((socket) => socket.destroy());
      server.close();
    },
  });
}
