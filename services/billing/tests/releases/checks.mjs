// The checks of a small pipeline, in the order in which a pipeline makes them. Each says nothing, or why it stops the release.
import { execFile } from "node:child_process";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { BILLING, migrate, REPOSITORY, startService } from "../support/service.mjs";

const run = promisify(execFile);

/** The last line of an output that says something. */
const lastLine = (text) => text.trimEnd().split("\n").at(-1) ?? "";

/** One of our suites against a service, as a pipeline runs it: a program that decides by its exit code. */
async function suite(name, base, pattern = []) {
  // Every fifth account finds a wrong cent as well; all of them take their time in the suites proper.
  const env = { ...process.env, BASE_URL: base, PARITY_EVERY: "5" };
  // Else the inner runner takes itself for a part of this test, and its exit code is not the suite's.
  delete env.NODE_TEST_CONTEXT;
  const args = ["--test", "--test-reporter=tap", ...pattern, join(BILLING, "tests", name)];
  try {
    await run(process.execPath, args, { env, timeout: 120_000, maxBuffer: 16 << 20 });
    return undefined;
  } catch (error) {
    const [summary] = /\d+ of \d+ differ/.exec(error.stdout ?? "") ?? [lastLine(error.stdout ?? error.message)];
    return summary;
  }
}

/** Before anything starts: can the release that runs work on the schema that the new one brings? */
async function schema({ databaseUrl, folder }) {
  const args = ["--old", "env:OLD_DATABASE_URL", "--migrations", join(folder, "migrations"), "--json"];
  try {
    await run(join(REPOSITORY, "tools/schema_compat_check.sh"), args, {
      env: { ...process.env, OLD_DATABASE_URL: databaseUrl },
      timeout: 120_000,
    });
    return undefined;
  } catch (error) {
    // 1 is a "no"; everything else is no answer, which this test must not take for one.
    if (error.code !== 1) throw error;
    return JSON.parse(error.stdout)
      .findings.map(({ code }) => code)
      .join(", ");
  }
}

/** What it says it is, if it says anything: silence is for the watch to judge. */
async function identity(url, version) {
  const answer = await fetch(`${url}/api/health`, { signal: AbortSignal.timeout(2_000) }).catch(() => undefined);
  const reported = (await answer?.json())?.version;
  return reported === undefined || reported === version ? undefined : `says it is ${reported}`;
}

/**
 * The checks up to the rollout, by name; a check that stops the release is the last. Each but the first asks the candidate: the
 * release, started beside what runs, after the migration. The long one gets a fresh one, or it would meet the faults that come later.
 */
export async function beforeRollout(release) {
  const results = {};
  const ask = async (check, answer) => {
    results[check] = (await answer) ?? "ok";
    return results[check] === "ok";
  };
  const onCandidate = async (work) => {
    const candidate = await startService(release);
    try {
      return await work(candidate);
    } finally {
      await candidate.stop();
    }
  };
  if (!(await ask("schema", schema(release)))) return results;
  await migrate(release.databaseUrl, release.folder);
  const good = await onCandidate(
    async ({ url, running, exited }) =>
      (await ask("starts", running() ? undefined : exited.then(({ code }) => `exited with ${code}`))) &&
      (await ask("identity", identity(url, release.version))) &&
      (await ask("contract", suite("contract.test.mjs", url, ["--test-name-pattern=relies on"]))),
  );
  if (good) await onCandidate(({ url }) => ask("parity", suite("parity.test.mjs", url)));
  return results;
}

/** All checks, in their order. */
export const CHECKS = ["schema", "starts", "identity", "contract", "parity", "watch"];

const EVERY_MS = 500;
const TIMEOUT_MS = 2_000;
export const WINDOW_MS = 30_000;

/**
 * The rollout: the release runs and is asked for its health for a while. Three failures in a row stop it, a dead process does, and
 * so do too many failures in all: 15 of 100, where one in a hundred is bad luck.
 */
export async function watch(release) {
  const service = await startService(release);
  const probes = [];
  try {
    for (const end = Date.now() + WINDOW_MS; Date.now() < end; ) {
      const started = Date.now();
      const answer = await fetch(`${service.url}/api/health`, { signal: AbortSignal.timeout(TIMEOUT_MS) }).catch(
        (error) => error,
      );
      await answer.arrayBuffer?.().catch(() => undefined);
      if (!service.running()) return `process ended after ${Math.round((Date.now() - release.startedAt()) / 1000)} s`;
      probes.push(answer.status === 200 ? "" : answer.status ? `HTTP ${answer.status}` : "no answer");
      const [failure] = probes.slice(-3);
      if (probes.length >= 3 && probes.slice(-3).every((one) => one !== "")) return `3 in a row: ${failure}`;
      await sleep(Math.max(0, EVERY_MS - (Date.now() - started)));
    }
    const failed = probes.filter((one) => one !== "").length;
    return failed * 100 > probes.length * 15 ? `${failed} of ${probes.length} probes failed` : undefined;
  } finally {
    await service.stop();
  }
}

/** A database as the release 1.0.0 left it. */
export async function databaseOf100(postgres, name, folder100) {
  const databaseUrl = await postgres.create(name);
  await migrate(databaseUrl, folder100);
  return databaseUrl;
}
