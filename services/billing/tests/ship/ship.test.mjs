// The service goes the way that it is here for: `schleuse` builds its releases, signs them, promotes them to an instance behind a
// front door, watches them, and brings back the one that turns sick; the database's schema moves forward and stays there.
//
//   node services/billing/tests/ship/ship.test.mjs
import assert from "node:assert/strict";
import { cp, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  atTheEnd,
  peer,
  postgres,
  productionPackages,
  ROOT,
  run,
  schleuse,
  startServer,
  temporaryFolder,
  undo,
} from "../images/tools.mjs";
import { clientOf } from "../support/client.mjs";
import { freePort } from "../support/port.mjs";
import { BILLING, migrate } from "../support/service.mjs";

process.env.PATH = [dirname(peer("node")), process.env.PATH].join(delimiter);

// As short as leaves room for the fault that comes after 15 s, which the verdict must not come before.
const HEALTH = `{ path = "/api/health", interval = "1s", timeout = "900ms", window = "20s", grace = "10s", span = "2s", failures = 3, version = "required" }`;
const RELEASES = ["1.0.0", "1.1.0", "sick-later"];
const PASSWORD = "of the test's key";

const versionOf = (name) => (/^\d/.test(name) ? name : `1.0.1-${name}`);

/** Ends what `promote` has started: releases and front doors outlive it, as they should, and name their folder in their command. */
async function stopBelow(folder) {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  for (const pid of pids) {
    const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (command.split("\0").some((argument) => argument.startsWith(`${folder}/`))) process.kill(Number(pid), "SIGKILL");
  }
}

async function setUp() {
  const folder = await temporaryFolder();
  atTheEnd(() => stopBelow(join(folder, "state")));
  const program = await schleuse();
  const registry = `127.0.0.1:${await freePort()}`;
  await startServer(program, ["registry", "serve", "--memory", "--listen", registry], `http://${registry}/v2/`);
  const project = join(folder, "project");
  await mkdir(project);
  await run(join(ROOT, "tools/standin-base.sh"), [join(project, "base")], {
    env: { ...process.env, SCHLEUSE: program },
    seconds: 300,
  });
  await run(join(BILLING, "releases/build.sh"), [join(folder, "releases"), ...RELEASES], { seconds: 300 });
  const databaseUrl = await postgres("start", "--database", "billing", join(folder, "postgres"));

  const modules = join(folder, "modules");
  await mkdir(modules);
  await productionPackages(modules, BILLING);

  const [listen, port] = [`127.0.0.1:${await freePort()}`, await freePort()];
  await writeFile(join(project, "production.env"), `DATABASE_URL=${databaseUrl}\n`, { mode: 0o600 });
  const environment = `
[environment.production]
host     = "local"
state    = "${join(folder, "state")}"
listen   = "${listen}"
port     = ${port}
env_file = "${join(project, "production.env")}"
env      = { HOST = "127.0.0.1" }
health   = ${HEALTH}
`;
  const env = { PATH: process.env.PATH, HOME: folder, COSIGN_PASSWORD: PASSWORD, SOURCE_DATE_EPOCH: "1767225600" };
  await run(program, ["key", "generate"], { cwd: project, env });
  env.COSIGN_PRIVATE_KEY = await run("cat", [join(project, "schleuse.key")]);
  const cli = (...args) => run(program, args, { cwd: project, env, seconds: 180 });

  /** Builds, signs, and gives the image. A commit has one image, so each release here is another commit. */
  async function build(name) {
    const app = join(project, "app");
    await run("rm", ["-rf", app]);
    await mkdir(app);
    for (const part of ["package.json", "dist", "migrations"])
      await cp(join(folder, "releases", name, part), join(app, part), { recursive: true });
    await run("cp", ["-R", join(modules, "node_modules"), app]);
    const version = versionOf(name);
    const recipe = `image = "${registry}/billing"
source = "https://git.example/acme/billing"
[build]
base    = "oci:base"
copy    = [{ from = "app", to = "/app" }]
workdir = "/app"
user    = "10001:10001"
cmd     = ["node", "dist/main.js"]
env     = { NODE_ENV = "production", APP_VERSION = "${version}" }
${environment}`;
    await writeFile(join(project, "schleuse.toml"), recipe);
    const commit = `${RELEASES.indexOf(name) + 1}`.repeat(40);
    const image = await cli("build", "--commit", commit, "--version", version, "--output", "build.json");
    await cli("sign", "--build-manifest", "build.json", image);
    return image;
  }
  return { folder, cli, build, databaseUrl, call: clientOf(`http://${listen}`) };
}

/** Asks through the front door all the time; says how many requests, and what went wrong. */
function customersAtTheDoor(call) {
  const seen = { requests: 0, failures: [] };
  let open = true;
  const asking = (async () => {
    for (; open; await sleep(20)) {
      seen.requests += 1;
      const answer = await call("GET", "/api/customers/acme").catch((error) => ({ status: error.message }));
      if (answer.status !== 200) seen.failures.push(answer.status);
    }
  })();
  return async () => {
    open = false;
    await asking;
    return seen;
  };
}

test("1.0.0, 1.1.0, and a release that turns sick", async (t) => {
  try {
    const { folder, cli, build, databaseUrl, call } = await setUp();
    const running = async () => (await call("GET", "/api/health")).body;
    const migrations = (name) => migrate(databaseUrl, join(folder, "releases", name));

    await t.test("1.0.0 is in production, and is the image that was built", async () => {
      const image = await build("1.0.0");
      await migrations("1.0.0");
      await cli("promote", "production", image);
      const { version, digest } = await running();
      assert.deepEqual([version, digest], ["1.0.0", image.split("@")[1]]);
      const customer = { name: "Acme", country: "DE", time_zone: "Europe/Berlin", currency: "EUR" };
      assert.equal((await call("PUT", "/api/customers/acme", customer)).status, 201);
    });

    await t.test("1.1.0 replaces it, with its migration, and no request is lost", async (t) => {
      const image = await build("1.1.0");
      await migrations("1.1.0");
      assert.equal((await running()).status, "ok", "the old release on the new schema");
      const stop = customersAtTheDoor(call);
      await cli("promote", "production", image);
      const { requests, failures } = await stop();
      t.diagnostic(`${requests} requests during the rollout, ${failures.length} lost`);
      assert.deepEqual(failures, []);
      assert.equal((await running()).version, "1.1.0");
    });

    await t.test("the sick one is brought back by itself: exit 20, 1.1.0 answers", async () => {
      const image = await build("sick-later");
      const stop = customersAtTheDoor(call);
      await assert.rejects(cli("promote", "production", image), /exit 20[\s\S]*ROLLED BACK/);
      assert.deepEqual((await stop()).failures, [], "only its health was sick");
      assert.equal((await running()).version, "1.1.0");
    });

    await t.test("and by hand to 1.0.0, on the schema that stays", async () => {
      await cli("rollback", "production", "--yes");
      const { version, schema } = await running();
      assert.deepEqual([version, schema], ["1.0.0", { needed: 1, found: 2 }]);
      await cli("history", "production", "--verify");
    });
  } finally {
    await undo();
  }
});
