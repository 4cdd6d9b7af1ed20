// The image that the repository's Dockerfile makes of this service, on real engines: built by Docker Engine (BuildKit) and by buildah,
// compared file by file with what `schleuse build` assembles, and run as it is meant to be run.
//
//   node services/billing/tests/images/images.test.mjs
//
// Needs root (or sudo), the programs of tools/peers/{install,engines,service}.sh, and npm's registry. The base image is a stand-in
// (tools/standin-base.sh), pinned by digest like the real one.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { cp, mkdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { test } from "node:test";
import { freePort } from "../support/port.mjs";
import { differences, readImage, SCRATCH } from "./layers.mjs";
import {
  atTheEnd,
  engine,
  peer,
  postgres,
  productionPackages,
  ROOT,
  run,
  schleuse,
  startRegistry,
  temporaryFolder,
  undo,
  until,
} from "./tools.mjs";

const SERVICE = join(ROOT, "services/billing");
const VERSION = "1.2.3";
const COMMIT = "0123456789abcdef0123456789abcdef01234567";
const CREATED = "2026-01-01T00:00:00Z";
const SOURCE = "https://git.example/acme/billing";

/** What the image may add to its base, in bytes, unpacked. */
const MOST = 40_000_000;
/** In the npm configuration that the builds get as a secret. */
const MARKER = "; this-is-for-nobody's-eyes";
/** In what the files of docker's image may differ from another's, and why. What is listed has to occur. */
const EXCEPTIONS = {
  buildah: [],
  // `npm prune` leaves the folders of scopes (@types) that it has emptied; `npm ci --omit=dev` makes none.
  schleuse: [/^app\/node_modules\/@[^/]+: \{"kind":"folder".*\} and "absent"$/],
};

// npm has to start the Node that it came with.
process.env.PATH = [dirname(peer("node")), process.env.PATH].join(delimiter);

/** This machine's npm configuration and authorities, as flags of both builders. */
async function secrets(folder) {
  const [registry, user, cafile] = (await run("npm", ["config", "get", "registry", "userconfig", "cafile"], { cwd: folder }))
    .split("\n")
    .map((line) => line.slice(line.indexOf("=") + 1));
  const npmrc = join(folder, "npmrc");
  const own = await readFile(user, "utf8").catch(() => "");
  await writeFile(npmrc, `${MARKER}\nregistry=${registry}\n${own}`, { mode: 0o600 });
  const ca = process.env.NODE_EXTRA_CA_CERTS || (cafile === "null" ? "" : cafile);
  return [`--secret=id=npmrc,src=${npmrc}`, ...(ca ? [`--secret=id=ca,src=${ca}`] : [])];
}

/** A registry with the base image in it, and the flags of both builders. */
async function prepare(folder) {
  const registry = await startRegistry(folder);
  const program = await schleuse();
  const layout = join(folder, "base");
  const env = { ...process.env, SCHLEUSE: program };
  const digest = await run(join(ROOT, "tools/standin-base.sh"), [layout], { env, seconds: 300 });
  const copy = ["--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false"];
  await run(peer("skopeo"), [...copy, `oci:${layout}`, `docker://${registry}/node:20`]);
  const base = { name: `${registry}/node:20@${digest}`, ...(await readImage(registry, "node", digest, SCRATCH)) };
  const values = { NODE_IMAGE: base.name, VERSION, COMMIT, CREATED, SOURCE };
  const flags = [
    "--network=host",
    ...Object.entries(values).map(([name, value]) => `--build-arg=${name}=${value}`),
    ...(await secrets(folder)),
  ];
  return { folder, registry, program, base, flags };
}

/** Everything that the tests share; what is slow starts at once, side by side. Each is awaited by the test that needs it, and fails there. */
async function setUp() {
  const folder = await temporaryFolder();
  const started = [];
  const start = (promise) => {
    promise.catch(() => {});
    started.push(promise);
    return promise;
  };
  atTheEnd(() => Promise.allSettled(started));
  const host = start(engine("start", join(folder, "engine")));
  const database = start(postgres("start", "--database", "billing", join(folder, "postgres")));
  const laidOut = start(layOut(folder));
  const ground = await prepare(folder);
  const context = start(host.then((host) => contextOf(ground, host)));
  const builds = {
    docker: start(host.then((host) => withDocker(ground, host))),
    buildah: start(withBuildah(ground)),
    schleuse: start(laidOut.then((project) => withSchleuse(ground, project))),
  };
  return { ...ground, host, context, builds, database };
}

/** Builds with Docker Engine: `args` are the flags and the context, `input` a Dockerfile if it is not the context's own. */
async function dockerBuilds({ registry, base }, host, tag, args, input = "") {
  const name = `${registry}/billing:${tag}`;
  // Newer clients would make an index of the image and a statement about it.
  const env = { ...process.env, DOCKER_HOST: host, DOCKER_BUILDKIT: "1", BUILDX_NO_DEFAULT_ATTESTATIONS: "1" };
  await run(peer("docker"), ["build", `--tag=${name}`, ...args], { env, input, seconds: 300 });
  await run(peer("docker"), ["push", "--quiet", name], { env });
  return readImage(registry, "billing", tag, base);
}

const withDocker = (ground, host) => dockerBuilds(ground, host, "docker", [...ground.flags, ROOT]);

/** The files that a builder gets. */
const contextOf = (ground, host) =>
  dockerBuilds({ ...ground, base: SCRATCH }, host, "context", ["--file=-", ROOT], "FROM scratch\nCOPY . /\n");

async function withBuildah({ folder, registry, base, flags }) {
  const name = `${registry}/billing:buildah`;
  const home = join(folder, "buildah");
  await mkdir(home);
  // What root mounts, nobody else sees, and it is gone when buildah is, even if it is killed. Rootless, it sees to that itself.
  const [program, driver] =
    process.getuid() === 0 ? [["unshare", "--mount", peer("buildah")], "overlay"] : [[peer("buildah")], "vfs"];
  const storage = ["--root", join(home, "root"), "--runroot", join(home, "run"), "--storage-driver", driver];
  const buildah = (...args) => {
    const [first, ...rest] = [...program, ...storage, ...args];
    return run(first, rest, { env: { ...process.env, TMPDIR: home }, seconds: 300 });
  };
  // Health checks are Docker's format's; `chroot` needs no runtime, and works in containers too.
  await buildah("build", "--format=docker", "--isolation=chroot", "--tls-verify=false", ...flags, `--tag=${name}`, ROOT);
  await buildah("push", "--tls-verify=false", name);
  return readImage(registry, "billing", "buildah", base);
}

/** The service without a Dockerfile: npm's and the compiler's output in the folder `app` of a project. */
async function layOut(folder) {
  const source = join(folder, "source");
  const project = join(folder, "project");
  const app = join(project, "app");
  const built = async () => {
    const outside = ["node_modules", "dist", "tests", "parity"].map((name) => join(SERVICE, name));
    await cp(SERVICE, source, { recursive: true, filter: (path) => !outside.includes(path) });
    // The compiler is most of what npm installs: what is installed for the other tests will do.
    if (existsSync(join(SERVICE, "node_modules/.package-lock.json"))) {
      await symlink(join(SERVICE, "node_modules"), join(source, "node_modules"));
    } else {
      await run("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], { cwd: source, seconds: 300 });
    }
    await run("npm", ["run", "build"], { cwd: source });
  };
  const installed = async () => {
    await mkdir(app, { recursive: true });
    await productionPackages(app, SERVICE);
    await rm(join(app, "package-lock.json"));
  };
  await Promise.all([built(), installed()]);
  await cp(join(source, "dist"), join(app, "dist"), { recursive: true });
  await cp(join(SERVICE, "migrations"), join(app, "migrations"), { recursive: true });
  return project;
}

async function withSchleuse({ folder, registry, program, base }, project) {
  const recipe = `
    image  = "${registry}/billing"
    source = "${SOURCE}"

    [build]
    base    = "${base.name}"
    copy    = [{ from = "app", to = "/app" }]
    workdir = "/app"
    user    = "10001:10001"
    expose  = [3000]
    cmd     = ["node", "dist/main.js"]
    env     = { NODE_ENV = "production", PORT = "3000", APP_VERSION = "${VERSION}", APP_COMMIT = "${COMMIT}" }
  `;
  await writeFile(join(project, "schleuse.toml"), recipe);
  const env = { PATH: process.env.PATH, HOME: folder, SOURCE_DATE_EPOCH: String(Date.parse(CREATED) / 1_000) };
  const image = await run(program, ["build", "--commit", COMMIT, "--version", VERSION], { cwd: project, env });
  return readImage(registry, "billing", image.split("@")[1], base);
}

test("the image of the service", async (t) => {
  try {
    await t.test("hadolint finds nothing", () => run(peer("hadolint"), [join(ROOT, "Dockerfile")]));

    await t.test("the base is pinned by digest", async () => {
      const dockerfile = await readFile(join(ROOT, "Dockerfile"), "utf8");
      assert.match(dockerfile, /^ARG NODE_IMAGE=docker\.io\/library\/node:20-alpine@sha256:[0-9a-f]{64}$/m);
      const stages = dockerfile.match(/^FROM .*$/gm);
      assert(stages.length > 0 && stages.every((stage) => /^FROM \$\{NODE_IMAGE\}( AS \w+)?$/.test(stage)), stages.join("\n"));
    });

    const ground = await setUp();

    await t.test("builders get the service's sources and nothing else", async () => {
      const paths = [...(await ground.context).files.keys()];
      assert(paths.includes("services/billing/src/main.ts"), "the sources are missing");
      const sources = /^services(\/billing(\/(package(-lock)?\.json|tsconfig\.json|(src|migrations)(\/.*)?))?)?$/;
      const others = paths.filter((path) => !sources.test(path));
      assert.deepEqual(others, []);
    });

    for (const [builder, building] of Object.entries(ground.builds)) {
      await t.test(`${builder} makes it: nothing but the service, at most ${MOST / 1e6} MB, no secret`, async (t) => {
        const image = await building;
        const size = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
        t.diagnostic(
          `${image.files.size} entries above the base: ${size(image.compressed)} compressed, ${size(image.unpacked)} unpacked`,
        );
        const top = [...image.files.keys()].filter((path) => path.split("/").length <= 2);
        assert.deepEqual(top.sort(), ["app", "app/dist", "app/migrations", "app/node_modules", "app/package.json"]);
        assert(image.unpacked <= MOST, size(image.unpacked));
        for (const text of image.texts) assert(!text.includes(MARKER), "npm's configuration is in the image");
        isConfigured(image.config.config, builder);
      });
    }

    for (const [other, exceptions] of Object.entries(EXCEPTIONS)) {
      await t.test(`docker's files are ${other}'s`, async () => {
        const lines = differences(await ground.builds.docker, await ground.builds[other]);
        const unexplained = lines.filter((line) => !exceptions.some((exception) => exception.test(line)));
        assert.equal(unexplained.length, 0, unexplained.slice(0, 20).join("\n"));
        const outdated = exceptions.filter((exception) => !lines.some((line) => exception.test(line)));
        assert.equal(outdated.length, 0, `these exceptions are no more: ${outdated.join(", ")}`);
      });
    }

    await t.test("it migrates, becomes healthy, answers, and stops when asked", (t) => lives(t, ground));
  } finally {
    await undo();
  }
});

function isConfigured(config, builder) {
  assert.equal(config.User, "10001:10001");
  assert.equal(config.WorkingDir, "/app");
  assert.deepEqual(config.Entrypoint ?? [], []);
  assert.deepEqual(config.Cmd, ["node", "dist/main.js"]);
  assert.deepEqual(Object.keys(config.ExposedPorts), ["3000/tcp"]);
  const expected = { NODE_ENV: "production", PORT: "3000", APP_VERSION: VERSION, APP_COMMIT: COMMIT };
  for (const [name, value] of Object.entries(expected)) assert(config.Env.includes(`${name}=${value}`), name);
  const said = { version: VERSION, revision: COMMIT, created: CREATED, source: SOURCE };
  // Schleuse has no health checks of engines (it asks itself), and no labels but its own.
  if (builder !== "schleuse") Object.assign(said, { title: "billing", licenses: "Apache-2.0" });
  for (const [name, value] of Object.entries(said)) {
    assert.equal(config.Labels[`org.opencontainers.image.${name}`], value, name);
  }
  if (builder !== "schleuse") assert.deepEqual(config.Healthcheck.Test, ["CMD", "node", "dist/healthcheck.js"]);
}

/** A container's life, as confined as it can be. */
async function lives(t, { registry, host, database, builds }) {
  await builds.docker;
  const env = { ...process.env, DOCKER_HOST: await host };
  const docker = (args, seconds = 60) => run(peer("docker"), args, { env, seconds });
  const port = await freePort();
  const confined = ["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--user=10001", "--network=host"];
  const settings = ["--env=HOST=127.0.0.1", `--env=PORT=${port}`, `--env=DATABASE_URL=${await database}`];
  const image = `${registry}/billing:docker`;
  const container = [...confined, ...settings];

  assert.match(await docker(["run", "--rm", ...container, image, "node", "dist/migrate.js"]), /^applied /m);
  assert.match(await docker(["run", "--rm", ...container, image, "node", "dist/migrate.js"]), /^nothing to apply$/m);

  // The image's own check, asked more often, to be done sooner.
  await docker(["run", "--detach", "--name=billing", "--health-interval=1s", ...container, image]);
  const state = async () => JSON.parse(await docker(["inspect", "--format={{json .State}}", "billing"]));
  try {
    const decided = await until("its health check", 60, async () => {
      const now = await state();
      return (!now.Running || now.Health?.Status !== "starting") && now;
    });
    assert(decided.Running, `it ended, exit ${decided.ExitCode}`);
    assert.equal(decided.Health?.Status, "healthy", JSON.stringify(decided.Health?.Log.at(-1)));
    const answer = await fetch(`http://127.0.0.1:${port}/api/health`, { signal: AbortSignal.timeout(5_000) });
    const body = await answer.text();
    assert.equal(answer.status, 200, body);
    assert(body.includes(VERSION), body);
  } catch (error) {
    t.diagnostic(await run("sh", ["-c", '"$0" logs --tail=20 billing 2>&1', peer("docker")], { env }));
    throw error;
  }
  const asked = Date.now();
  await docker(["stop", "--time=10", "billing"]);
  const seconds = (Date.now() - asked) / 1_000;
  t.diagnostic(`stopped in ${seconds.toFixed(1)} s`);
  assert.equal((await state()).ExitCode, 0, "it did not end by itself when asked to (SIGTERM)");
  assert(seconds < 10, `stopping took ${seconds} s`);
}
