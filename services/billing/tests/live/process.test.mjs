// The service as a process: settings, start, log, metrics, migrations, and the end by a signal.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { CUSTOMER, eventually, exchange, PLAN, session, startOn, starts, USAGE, waiting } from "../support/live.mjs";
import { BILLING, migrate, startPostgres } from "../support/service.mjs";

const started = starts();
const SECRET = "hunter2-hunter2";
let postgres, databaseUrl;

/** A program of the build, to its end: exit code, and what it printed. */
async function ended(program, env, { timeout = 20_000 } = {}) {
  const child = spawn(process.execPath, [join(BILLING, "dist", program)], {
    env: { PATH: process.env.PATH, HOST: "127.0.0.1", PORT: "0", ...env },
    stdio: ["ignore", "pipe", "pipe"],
    timeout,
    killSignal: "SIGKILL",
  });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (bytes) => (text += bytes));
  const [code, signal] = await once(child, "close");
  return { code: code ?? signal, text };
}

before(async () => {
  postgres = started.keep(await startPostgres());
  databaseUrl = await postgres.create("billing");
});
after(() => started.end());

const HEAD = "GET /metrics HTTP/1.1\r\nHost: x\r\n";
/** A request whose body does not come. */
const ENDLESS = "POST /api/usage HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n[";
const since = (begin) => performance.now() - begin;
async function open(port, bytes = "") {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  await once(socket, "connect");
  if (bytes) socket.write(bytes);
  return started.keep(socket, () => socket.destroy());
}

describe("the service as a process", { concurrency: 2 }, () => {
  // Most of it is waiting: all the others run meanwhile.
  test("a request that does not end is given up eight seconds after SIGTERM: exit code 1", async () => {
    const { service, log } = await startOn(started, databaseUrl);
    await open(service.port, ENDLESS);
    await sleep(100);
    const begin = performance.now();
    service.child.kill("SIGTERM");
    assert.deepEqual(await service.exited, { code: 1, signal: null });
    assert.ok(since(begin) > 7_000 && since(begin) < 10_000, `it took ${since(begin)} ms`);
    await log.ended;
    assert.match(log.entries().at(-1).msg, /did not finish in time/);
  });

  describe("and meanwhile", { concurrency: 1 }, () => {
    describe("migrations", () => {
      test("two processes at once both succeed, and afterwards there is nothing to apply", async () => {
        const both = await Promise.all([migrate(databaseUrl), migrate(databaseUrl)]);
        const applied = both.flatMap(({ stdout }) => stdout.split("\n").filter((line) => line.startsWith("applied ")));
        assert.equal(new Set(applied).size, applied.length, applied.join());
        assert.ok(applied.length > 0);
        const { stdout, stderr } = await migrate(databaseUrl);
        assert.deepEqual([stdout, stderr], ["nothing to apply\n", ""]);
      });
      test("of an older release find a newer schema, and leave it", async () => {
        const client = await session(started, databaseUrl);
        await client.query("INSERT INTO migrations (id, name, hash) SELECT max(id) + 1, 'newer', 'abc' FROM migrations");
        assert.equal((await migrate(databaseUrl)).stdout, "nothing to apply\n");
        await client.query("DELETE FROM migrations WHERE name = 'newer'");
      });
      test("that cannot be applied end with 1, and say why without the password", async () => {
        const wrong = new URL(databaseUrl);
        wrong.password = SECRET;
        const nowhere = new URL(wrong);
        nowhere.port = "1";
        const results = await Promise.all(
          [undefined, wrong.href, nowhere.href, "no address"].map((DATABASE_URL) =>
            ended("migrate.js", DATABASE_URL === undefined ? {} : { DATABASE_URL }),
          ),
        );
        for (const { code, text } of results) {
          assert.equal(code, 1, text);
          assert.match(text, /^migrate: .{10,}\n$/);
          assert.doesNotMatch(text, new RegExp(SECRET));
        }
        assert.match(results[0].text, /DATABASE_URL/);
      });
    });

    describe("a start that cannot be", { concurrency: 4 }, () => {
      const address = `postgres://billing:${SECRET}@127.0.0.1:1/billing`;
      const WRONG = {
        "an address that cannot be read": [{ DATABASE_URL: `postgres://billing:${SECRET}%zz@127.0.0.1/x` }, ["DATABASE_URL"]],
        everything: [
          { DATABASE_URL: SECRET, PORT: "65536", DATABASE_CONNECTIONS: "0", SELLER_COUNTRY: "US", LOG_LEVEL: "loud" },
          ["DATABASE_URL", "PORT", "DATABASE_CONNECTIONS", "SELLER_COUNTRY", "LOG_LEVEL"],
        ],
      };
      for (const [what, [env, names]] of Object.entries(WRONG)) {
        test(`${what}: exit code 2, and the variable's name`, async () => {
          const { code, text } = await ended("main.js", env, { timeout: 15_000 });
          assert.equal(code, 2, text);
          assert.match(text, /^billing: configuration: [^\n]+\n$/);
          for (const name of names) assert.ok(text.includes(name), text);
          assert.ok(!text.includes(SECRET), text);
        });
      }
      test("a port that somebody has: exit code 1", async () => {
        const server = createServer().listen(0, "127.0.0.1");
        await once(server, "listening");
        const { code, text } = await ended("main.js", { DATABASE_URL: address, PORT: String(server.address().port) });
        server.close();
        assert.equal(code, 1, text);
        assert.match(text, /EADDRINUSE/);
        assert.ok(!text.includes(SECRET), text);
      });
    });

    describe("a service that runs", { concurrency: 1 }, () => {
      let service, log, api, call;
      before(async () => {
        ({ service, log, api, call } = await startOn(started, databaseUrl, {
          APP_VERSION: "9.8.7",
          APP_COMMIT: "abcdef",
          SCHLEUSE_DIGEST: "sha256:1",
        }));
        await api("PUT", "/api/plans/traffic", { ...PLAN, name: `Plan ${SECRET}` }, { "x-request-id": "put-plan" });
        await api("PUT", "/api/customers/acme", { ...CUSTOMER, name: `Name ${SECRET}` });
        await api("PUT", "/api/customers/acme/subscriptions/s", { plan: "traffic", from: "2025-01-01" });
        await api("POST", "/api/usage", [{ ...USAGE, customer: "acme", key: SECRET }]);
        await call("POST", "/api/usage", [{ ...USAGE, customer: "acme", key: SECRET, quantity: "2" }]);
        await call("POST", "/api/usage", `{"${SECRET}`, { "content-type": "application/json" });
        await call("POST", "/api/usage", `key;${SECRET}`, { "content-type": "text/csv" });
        await call("GET", "/nowhere");
        await call("DELETE", "/api/customers/acme");
        await api("GET", "/api/customers/acme/invoices/2025-03/preview");
        await api("GET", "/api/health");
      });

      test("says which release it is", async () => {
        const { version, commit, digest } = await api("GET", "/api/health");
        assert.deepEqual([version, commit, digest], ["9.8.7", "abcdef", "sha256:1"]);
        assert.equal((await api("GET", "/api/openapi.json")).info.version, "9.8.7");
      });
      test("has a histogram of requests by method, route and status, and the pool's connections", async () => {
        const { body, headers } = await call("GET", "/metrics");
        assert.match(headers.get("content-type"), /^text\/plain; version=0\.0\.4/);
        const value = (series) => {
          const line = body.split("\n").find((one) => one.startsWith(`${series} `));
          return line === undefined ? undefined : Number(line.slice(series.length));
        };
        for (const [method, route, status, count] of [
          ["GET", "/api/health", 200, 2],
          ["PUT", "/api/customers/:id", 200, undefined],
          ["PUT", "/api/customers/:id", 201, 1],
          ["PUT", "/api/customers/:id/subscriptions/:subscription", 201, 1],
          ["POST", "/api/usage", 200, 1],
          ["POST", "/api/usage", 409, 1],
          ["POST", "/api/usage", 400, 2],
          ["GET", "/api/customers/:id/invoices/:month/preview", 200, 1],
          ["DELETE", "/api/customers/:id", 405, 1],
          ["GET", "none", 404, 1],
        ]) {
          const series = `http_request_duration_seconds_count{method="${method}",route="${route}",status="${status}"}`;
          assert.equal(value(series), count, series);
        }
        assert.ok(value('http_request_duration_seconds_bucket{le="+Inf",method="POST",route="/api/usage",status="200"}') === 1);
        const connections = ["idle", "busy", "waiting"].map((state) => value(`database_connections{state="${state}"}`));
        assert.deepEqual(connections.slice(1), [0, 0]);
        assert.ok(connections[0] >= 1 && connections[0] <= 10);
        assert.equal(value('build_info{version="9.8.7",commit="abcdef"}'), 1);
        assert.ok(value("process_cpu_user_seconds_total") > 0);
        // No address is a label: there are as many as there are customers.
        assert.doesNotMatch(body, /acme|nowhere/);
      });
      test("writes one line of JSON a request, with its id, and neither passwords nor bodies", async () => {
        const ofRequests = () => log.entries().filter(({ msg }) => msg === "request");
        await eventually(() => ofRequests().length >= 11, "a line of each request");
        // Probes and scrapes that succeed are not worth a line.
        const requests = ofRequests();
        assert.equal(requests.length, 11);
        for (const { level, time, service: name, version, request_id, method, url, route, status, ms } of requests) {
          assert.ok(level === 30 && time > 0 && name === "billing" && version === "9.8.7", log.text());
          assert.match(request_id, /^([0-9a-f-]{36}|put-plan)$/);
          assert.ok(
            method && url && status >= 200 && ms >= 0 && (route || status === 404),
            JSON.stringify({ method, url, route, status, ms }),
          );
        }
        assert.ok(requests.some(({ request_id, route }) => request_id === "put-plan" && route === "/api/plans/:id"));
        assert.equal(new Set(requests.map(({ request_id }) => request_id)).size, requests.length);
        assert.ok(!log.text().includes(SECRET) && !log.text().includes(new URL(databaseUrl).password));
        assert.deepEqual(log.broken(), []);
      });
      test("ends by SIGINT as by SIGTERM, and says so", async () => {
        service.child.kill("SIGINT");
        assert.deepEqual(await service.exited, { code: 0, signal: null });
        await log.ended;
        const { msg, signal } = log.entries().at(-1);
        assert.match(msg, /^stopping/);
        assert.equal(signal, "SIGINT");
      });
    });

    describe("SIGTERM", { concurrency: 2 }, () => {
      test("a request that runs is finished; nobody new is let in; exit code 0", async () => {
        const { service, api, call } = await startOn(started, databaseUrl);
        const client = await session(started, databaseUrl);
        await api("PUT", "/api/customers/slow", CUSTOMER);
        await client.query("BEGIN");
        await client.query("SELECT 1 FROM customers WHERE id = 'slow' FOR UPDATE");
        const slow = call("PUT", "/api/customers/slow", { ...CUSTOMER, name: "Slow" });
        await waiting(client);
        const begin = performance.now();
        service.child.kill("SIGTERM");
        await eventually(
          async () => (await exchange(service.port, `${HEAD}Connection: close\r\n\r\n`)).text === "",
          "new connections are refused",
        );
        assert.ok(service.running());
        await sleep(300);
        await client.query("COMMIT");
        const { status, body } = await slow;
        assert.deepEqual([status, body.name], [200, "Slow"]);
        assert.deepEqual(await service.exited, { code: 0, signal: null });
        assert.ok(since(begin) < 8_000);
        const { rows } = await client.query("SELECT name FROM customers WHERE id = 'slow'");
        assert.equal(rows[0].name, "Slow");
      });
      test("connections that are open and unused, silent, or in the middle of a head, do not hold it up", async () => {
        const { service, log } = await startOn(started, databaseUrl);
        const used = await open(service.port, `${HEAD}\r\n`);
        await once(used, "data");
        await open(service.port);
        await open(service.port, HEAD);
        await sleep(100);
        const begin = performance.now();
        service.child.kill("SIGTERM");
        assert.deepEqual(await service.exited, { code: 0, signal: null }, log.text().slice(-500));
        assert.ok(since(begin) < 3_000, `it took ${since(begin)} ms`);
      });
      test("twice: it ends at once", async () => {
        const { service } = await startOn(started, databaseUrl);
        await open(service.port, ENDLESS);
        await sleep(100);
        service.child.kill("SIGTERM");
        await sleep(300);
        assert.ok(service.running());
        const begin = performance.now();
        service.child.kill("SIGTERM");
        assert.deepEqual(await service.exited, { code: 1, signal: null });
        assert.ok(since(begin) < 1_000, `it took ${since(begin)} ms`);
      });
    });
  });
});
