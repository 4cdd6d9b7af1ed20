// The service and its database: with an older or newer schema, locked, frozen, away and back. It never ends by itself, it says what is
// wrong while something is, and it works again as soon as nothing is.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { SCHEMA } from "../../dist/store/schema.js";
import {
  assertProblem,
  CUSTOMER,
  eventually,
  outageOf,
  PLAN,
  session,
  startDatabase,
  startOn,
  startProxy,
  starts,
  USAGE,
  waiting,
  whileLocked,
} from "../support/live.mjs";
import { BILLING } from "../support/service.mjs";

const started = starts();
/** The longest that a probe waits. */
const PROBE_MS = 2_000;
const RELEASE = { APP_VERSION: "7.8.9-test", APP_COMMIT: "c0ffee", IMAGE_DIGEST: `sha256:${"0".repeat(64)}` };
let postgres, service, databaseUrl, log, api, call, beside, proxy, behind;

async function timed(answer) {
  const begin = performance.now();
  const { status, headers, body } = await answer;
  return { status, headers, body, ms: performance.now() - begin };
}
/** What /api/health says, in the time that a probe has. */
async function health(ask = call) {
  const { status, body, ms } = await timed(ask("GET", "/api/health"));
  assert.ok(ms < PROBE_MS, `health took ${ms} ms`);
  assert.equal(body.status, status === 200 ? "ok" : "error");
  assert.equal(body.error === undefined, status === 200);
  return { ...body, code: status };
}
const lock = (id) => `SELECT 1 FROM customers WHERE id = '${id}' FOR UPDATE`;
const rename = (ask = call, id = "acme") => ask("PUT", `/api/customers/${id}`, CUSTOMER);
/** What the container engine would find: its exit code, and what it printed. */
const healthcheck = (port) =>
  new Promise((resolve) => {
    const env = { PATH: process.env.PATH, PORT: String(port) };
    const end = (error, stdout, stderr) => resolve({ code: error ? error.code : 0, stdout, stderr });
    execFile(process.execPath, [join(BILLING, "dist/healthcheck.js")], { env, timeout: 10_000 }, end);
  });

before(async () => {
  ({ postgres, databaseUrl } = await startDatabase(started));
  beside = await session(started, databaseUrl);
  proxy = await startProxy(started, databaseUrl);
  const both = [startOn(started, databaseUrl), startOn(started, proxy.url, { ...RELEASE, LOG_LEVEL: "error" })];
  [{ service, log, api, call }, behind] = await Promise.all(both);
  await api("PUT", "/api/plans/traffic", PLAN);
  for (const id of ["acme", "frozen"]) await api("PUT", `/api/customers/${id}`, CUSTOMER);
});
after(() => started.end());

describe("while the database is there", { concurrency: 2 }, () => {
  // It takes as long as a statement may, so it has the time of all the others.
  test("frozen: nobody waits for ever, and afterwards it works", async () => {
    const { version, commit, digest } = await health(behind.call);
    assert.deepEqual([version, commit, digest], [RELEASE.APP_VERSION, RELEASE.APP_COMMIT, RELEASE.IMAGE_DIGEST]);
    // Each of the three has a connection that was opened before.
    await Promise.all(Array.from({ length: 3 }, () => behind.api("GET", "/api/customers")));
    proxy.freeze();
    const [write, read, probe] = await Promise.all([
      timed(rename(behind.call, "frozen")),
      timed(behind.call("GET", "/api/customers")),
      health(behind.call),
    ]);
    assert.equal(probe.code, 503);
    for (const answer of [read, write]) assertProblem(answer, 503, "unavailable");
    proxy.thaw();
    await eventually(async () => (await health(behind.call)).code === 200, "well again");
    assert.equal((await rename(behind.call, "frozen")).status, 200);
    assert.ok(read.ms < 7_000, `reading took ${read.ms} ms`);
    assert.ok(write.ms < 7_000, `writing took ${write.ms} ms`);
  });

  describe("health", { concurrency: 1 }, () => {
    test("says which release this is, and which schema it needs and finds", async () => {
      const { uptime_seconds, version, ...rest } = await health();
      assert.match(version, /^\d+\.\d+\.\d+/);
      assert.ok(uptime_seconds > 0 && uptime_seconds < 600);
      assert.deepEqual(rest, { code: 200, status: "ok", commit: null, digest: null, schema: { needed: SCHEMA, found: SCHEMA } });
      assert.deepEqual(await healthcheck(service.port), { code: 0, stdout: "", stderr: "" });
    });
    test("the schema is older, newer, or none", async () => {
      // There is no schema 0; a release of schema 1 shall see it all the same.
      const checks = "SELECT conname FROM pg_constraint WHERE conrelid = 'schema_version'::regclass AND contype = 'c'";
      for (const { conname } of (await beside.query(checks)).rows) {
        await beside.query(`ALTER TABLE schema_version DROP CONSTRAINT ${conname}`);
      }
      const set = (version, works_for) =>
        beside.query("UPDATE schema_version SET version = $1, works_for = $2", [version, works_for]);
      for (const [version, works_for, code, said] of [
        [SCHEMA - 1, 0, 503, /run the migrations/],
        [SCHEMA, SCHEMA, 200],
        [SCHEMA, 1, 200],
        [SCHEMA + 1, SCHEMA, 200],
        [SCHEMA + 9, 1, 200],
        [SCHEMA + 1, SCHEMA + 1, 503, /works for releases from schema/],
        [SCHEMA + 9, SCHEMA + 1, 503, /works for releases from schema/],
      ]) {
        await set(version, works_for);
        const { code: got, schema, error = "" } = await health();
        assert.deepEqual([got, schema], [code, { needed: SCHEMA, found: version }], `${version} ${works_for}`);
        if (said) assert.match(error, said);
      }
      // A newer release added a column: that changes nothing.
      await set(SCHEMA + 1, SCHEMA);
      await beside.query("ALTER TABLE schema_version ADD COLUMN since timestamptz DEFAULT now()");
      assert.equal((await health()).code, 200);
      await beside.query("ALTER TABLE schema_version RENAME TO elsewhere");
      const none = await health();
      assert.deepEqual([none.code, none.schema.found], [503, null]);
      assert.match(none.error, /no schema: run the migrations/);
      await beside.query("ALTER TABLE elsewhere RENAME TO schema_version");
      await set(SCHEMA, SCHEMA);
      assert.equal((await health()).code, 200);
    });
    test("somebody has the table for himself: health says so in time, and takes nothing from others", async () => {
      await whileLocked(beside, "LOCK TABLE schema_version IN ACCESS EXCLUSIVE MODE", async () => {
        // As many probes as there are connections, and more.
        const probes = await Promise.all(Array.from({ length: 12 }, () => health()));
        for (const { code, error } of probes) assert.deepEqual([code, error], [503, "the database does not answer"]);
        assert.equal((await call("GET", "/api/customers")).status, 200, "the probes have all connections");
      });
      await eventually(async () => (await health()).code === 200, "well again");
    });
    test("every connection is busy: the database answers all the same", async () => {
      const answers = await whileLocked(beside, lock("acme"), async () => {
        const busy = Array.from({ length: 10 }, () => rename());
        await waiting(beside, 10);
        const { code, error } = await health();
        return { busy, code, error };
      });
      for (const { status } of await Promise.all(answers.busy)) assert.equal(status, 200);
      assert.equal(answers.code, 200, answers.error);
    });
  });
});

describe("connections that break", () => {
  const terminate = () =>
    beside.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'billing' AND pid <> pg_backend_pid()",
    );

  test("under a request: it is answered 503, and the service goes on", async () => {
    const answer = await whileLocked(beside, lock("acme"), async () => {
      const running = rename();
      await waiting(beside);
      await terminate();
      return running.catch((error) => error);
    });
    assert.ok(service.running(), `the service ended:\n${service.output().slice(-1500)}`);
    assertProblem(answer, 503, "unavailable");
    assert.equal(answer.headers.get("retry-after"), "2");
    // Other connections went with it; one that is picked in the very moment may be told so.
    await eventually(async () => (await rename()).status === 200, "it goes on");
  });
  test("unused: nobody notices", async () => {
    await Promise.all(Array.from({ length: 5 }, () => api("GET", "/api/customers")));
    await terminate();
    for (let n = 0; n < 5; n += 1) {
      const answer = await call("GET", "/api/customers");
      // One that is picked in the very moment may be told so.
      if (answer.status !== 200) assertProblem(answer, 503, "unavailable");
    }
    assert.ok(service.running());
  });
  test("nothing else broke inside", () => {
    for (const { msg, err } of log.entries().filter(({ level }) => level >= 50)) {
      assert.equal(msg, "request failed");
      assert.match(`${err.code} ${err.message}`, /57P01|57014|terminat|ECONNRESET|timeout exceeded/);
    }
  });
});

test("the database goes and comes back on the same port", async (t) => {
  const { pid } = service.child;
  const outage = await outageOf(postgres);
  const late = { ...USAGE, customer: "acme", key: "k" };
  const WAYS = [
    ["GET", "/api/customers"],
    ["GET", "/api/customers/acme"],
    ["GET", "/api/customers/acme/invoices/2025-03/preview"],
    ["PUT", "/api/customers/acme", CUSTOMER],
    ["PUT", "/api/plans/traffic", PLAN],
    ["POST", "/api/usage", [late]],
    ["PUT", "/api/customers/acme/invoices/2025-03"],
  ];

  await t.test("a request that runs as it goes is answered 503", async () => {
    await beside.query("BEGIN");
    await beside.query(lock("acme"));
    const running = rename();
    await waiting(beside);
    await outage.down();
    assertProblem(await running, 503, "unavailable");
  });
  await t.test("health is 503 in time, every other route 503 with a time to try again", async () => {
    for (let n = 0; n < 3; n += 1) {
      const { code, error, schema } = await health();
      assert.deepEqual([code, error, schema.found], [503, "the database does not answer", null]);
    }
    const begin = performance.now();
    await Promise.all(
      WAYS.map(async ([method, path, body]) => {
        const answer = await call(method, path, body);
        assertProblem(answer, 503, "unavailable", `${method} ${path}`);
        assert.equal(answer.headers.get("retry-after"), "2");
        assert.doesNotMatch(JSON.stringify(answer.body), /ECONN|127\.0\.0\.1|pg-pool/);
      }),
    );
    assert.ok(performance.now() - begin < 3_000);
    const { code, stdout, stderr } = await healthcheck(service.port);
    assert.deepEqual([code, stderr], [1, ""]);
    assert.match(stdout, /the database does not answer/);
  });
  await t.test("what needs no database is answered as ever", async () => {
    assertProblem(await call("POST", "/api/usage", [{ ...late, quantity: "1,234" }]), 422, "unprocessable");
    assertProblem(await call("PUT", "/api/customers/acme", {}), 400, "invalid-request");
    assertProblem(await call("GET", "/nowhere"), 404, "not-found");
    for (const path of ["/metrics", "/api/openapi.json"]) assert.equal((await call("GET", path)).status, 200);
  });
  await t.test("a service that starts meanwhile starts", async () => {
    const second = await startOn(started, databaseUrl, { LOG_LEVEL: "silent" });
    assert.ok(second.service.running());
    assert.equal((await health(second.call)).code, 503);
    await outage.up();
    await eventually(async () => (await health(second.call)).code === 200, "the second is well");
  });
  await t.test("it is well again by itself, and nothing is lost or doubled", async () => {
    await eventually(async () => (await health()).code === 200, "well again");
    for (const [method, path, body] of WAYS) assert.ok((await call(method, path, body)).status < 300, `${method} ${path}`);
    const { items } = await api("GET", "/api/customers/acme/usage?month=2025-03");
    assert.deepEqual(
      items.map(({ key }) => key),
      ["k"],
    );
    assert.equal((await healthcheck(service.port)).code, 0);
    assert.deepEqual([service.running(), service.child.pid], [true, pid]);
  });
  await t.test("what it wrote about it is JSON, and has no password", async () => {
    const { password } = new URL(databaseUrl);
    assert.ok(password.length > 20);
    assert.ok(!log.text().includes(password) && !behind.log.text().includes(password));
    const failures = log.entries().filter(({ level }) => level >= 50);
    assert.ok(failures.length >= WAYS.length);
    for (const { msg, request_id, err } of failures) assert.ok(msg === "request failed" && request_id && err.stack, msg);
    // A probe that fails is a warning; the request's own line is there too.
    assert.ok(log.entries().some(({ level, msg }) => level === 40 && msg.startsWith("health:")));
    assert.ok(log.entries().some(({ route, status }) => route === "/api/health" && status === 503));
  });
});
