// What the test of the image stands on: programs with a deadline, a temporary folder, and everything undone at the end.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, cp, mkdtemp, readdir, readFile, statfs, writeFile } from "node:fs/promises";
import { freemem, homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { freePort } from "../support/port.mjs";

/** The repository. */
export const ROOT = fileURLToPath(new URL("../../../..", import.meta.url));

/** A program that tools/peers/*.sh have installed. */
export const peer = (name) => join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "schleuse/peers/bin", name);

/** How much of each stream of what a program said stands in an error. */
const TAIL = 2_000;

const alive = new Set();

/** Starts a program as the head of a process group; it dies with this process, even if that is killed. */
function start(program, args, options) {
  const child = spawn("setpriv", ["--pdeathsig", "KILL", "--", program, ...args], { detached: true, ...options });
  alive.add(child);
  child.once("close", () => alive.delete(child));
  return child;
}

function kill(child) {
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

/** Runs a program to its end, at most `seconds`, and returns what it wrote to stdout. */
export function run(program, args, { seconds = 120, input = "", ...options } = {}) {
  return new Promise((resolve, reject) => {
    const child = start(program, args, options);
    const output = { stdout: "", stderr: "" };
    for (const name of Object.keys(output)) child[name].setEncoding("utf8").on("data", (text) => (output[name] += text));
    child.stdin.on("error", () => {}).end(input);
    let late = "";
    const timer = setTimeout(() => {
      late = `not done after ${seconds} s: `;
      kill(child);
    }, seconds * 1_000);
    child.once("error", reject);
    child.once("close", (code, signal) => {
      clearTimeout(timer);
      if (code === 0) return resolve(output.stdout.trim());
      const said = output.stdout.slice(-TAIL) + output.stderr.slice(-TAIL);
      reject(new Error(`${late}${program} ${args.join(" ")}: ${signal ?? `exit ${code}`}\n${said}`));
    });
  });
}

/** Asks until there is an answer, at most `seconds`; what goes wrong meanwhile is shown when time is up. */
export async function until(what, seconds, ask) {
  const end = Date.now() + seconds * 1_000;
  for (let last = "no answer"; ; await sleep(100)) {
    try {
      const answer = await ask();
      if (answer) return answer;
    } catch (error) {
      last = error.message;
    }
    if (Date.now() > end) throw new Error(`${what}: not within ${seconds} s: ${last}`);
  }
}

const undoing = [];

/** What is done at the end, the latest first, whatever happens before. */
export function atTheEnd(what) {
  undoing.push(what);
}

async function undoAll() {
  const errors = [];
  for (let what = undoing.pop(); what; what = undoing.pop()) {
    try {
      await what();
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw new AggregateError(errors, errors.map((error) => error.message).join("\n"));
}

let undone;

/** Undoes everything, once; what cannot be undone does not keep the rest from it, and is told afterwards. */
export function undo() {
  undone ??= undoAll();
  return undone;
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.once(signal, () => {
    for (const child of alive) kill(child);
    undo().finally(() => process.exit(130));
  });
}

const ENGINE = join(ROOT, "tools/engine.sh");

/** `tools/engine.sh VERB DIR`, as root. */
export function engine(verb, folder) {
  const asRoot = process.getuid() === 0 ? [] : ["sudo", "-n", "--preserve-env=HOME,XDG_CACHE_HOME"];
  const [program, ...args] = [...asRoot, ENGINE, verb, folder];
  return run(program, args);
}

/** `tools/postgres.sh ARGUMENTS`. */
export const postgres = (...args) => run(join(ROOT, "tools/postgres.sh"), args);

const PREFIX = "billing-image-";

/** Everything of a run lies in one folder. */
async function remove(folder) {
  await engine("stop", join(folder, "engine"));
  await postgres("stop", join(folder, "postgres"));
  // Rootless, buildah's files are those of other users of the user's own namespace.
  const asTheirs = process.getuid() === 0 ? [] : [peer("buildah"), "unshare"];
  const [program, ...args] = [...asTheirs, "rm", "-rf", folder];
  await run(program, args);
}

/** Temporary files in memory: images are thousands of small ones, and their test takes 43 s there, on a disk 62. */
const MEMORY = "/dev/shm";
/** Bytes that must be free in it: three times what the test needs. */
const ROOM = 4e9;

async function temporaryPlace() {
  if (process.env.TMPDIR) return tmpdir();
  const mounts = (await readFile("/proc/mounts", "utf8")).split("\n").map((line) => line.split(" "));
  const options = mounts.findLast(([, at]) => at === MEMORY)?.[3].split(",") ?? ["ro"];
  if (options.includes("ro") || options.includes("noexec")) return tmpdir();
  const { bavail, bsize } = await statfs(MEMORY);
  return Math.min(bavail * bsize, freemem()) < ROOM ? tmpdir() : MEMORY;
}

/** A folder that every user may pass through, removed at the end with what runs in it. */
export async function temporaryFolder() {
  // A run that is killed (`node --test` kills its tests on Ctrl-C) cannot clean up; the next one does.
  for (const place of [MEMORY, tmpdir()]) {
    for (const name of await readdir(place).catch(() => [])) {
      const pid = name.startsWith(PREFIX) && name.slice(PREFIX.length).split("-")[0];
      if (pid && !existsSync(`/proc/${pid}`)) await remove(join(place, name));
    }
  }
  const folder = await mkdtemp(join(await temporaryPlace(), `${PREFIX}${process.pid}-`));
  atTheEnd(() => remove(folder));
  await chmod(folder, 0o755);
  return folder;
}

/** Starts a server that runs until the end, and waits until it answers at `url`. */
export async function startServer(program, args, url) {
  const server = start(program, args, { stdio: "ignore" });
  atTheEnd(() => kill(server));
  await until(`${program} ${args[0]}`, 10, async () => (await fetch(url)).ok);
}

/** Starts docker-registry (tools/peers/install.sh) and returns its address. */
export async function startRegistry(folder) {
  const address = `127.0.0.1:${await freePort()}`;
  const config = join(folder, "registry.yml");
  const storage = `storage:\n  filesystem:\n    rootdirectory: ${join(folder, "registry")}\n`;
  await writeFile(
    config,
    `version: 0.1\nlog:\n  level: error\n  accesslog:\n    disabled: true\n${storage}http:\n  addr: ${address}\n`,
  );
  await startServer(peer("docker-registry"), ["serve", config], `http://${address}/v2/`);
  return address;
}

/** What the service needs to run, without what it needs to be built, in `folder`. */
export async function productionPackages(folder, service) {
  for (const name of ["package.json", "package-lock.json"]) await cp(join(service, name), join(folder, name));
  await run("npm", ["ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"], { cwd: folder, seconds: 300 });
}

/** The program that all this is for, as it is built now. */
export async function schleuse() {
  if (process.env.SCHLEUSE) return process.env.SCHLEUSE;
  await run("cargo", ["build", "--locked", "--quiet", "--bin", "schleuse"], { cwd: ROOT, seconds: 1_200 });
  return join(process.env.CARGO_TARGET_DIR || join(ROOT, "target"), "debug/schleuse");
}
