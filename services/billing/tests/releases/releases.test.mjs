// Releases good and bad, through the checks of a pipeline: each bad one is stopped by the check that should see it, and by none
// before that; the good ones pass them all.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { insistentClientOf } from "../support/client.mjs";
import { BILLING, migrate, startPostgres, startService } from "../support/service.mjs";
import { beforeRollout, CHECKS, databaseOf100, watch } from "./checks.mjs";

const run = promisify(execFile);

/** Which check should see what is wrong, and what it should say. The good ones have none. */
const EXPECTED = {
  "1.0.0": undefined,
  "1.1.0": undefined,
  "breaking-migration": ["schema", /column/],
  "crash-at-start": ["starts", /^exited with 1$/],
  "wrong-version": ["identity", /^says it is 1\.0\.0$/],
  "cent-off": ["parity", /^\d+ of 126 differ$/],
  "crash-later": ["watch", /^process ended after (1\d|2\d) s$/],
  "sick-later": ["watch", /^3 in a row: HTTP 500$/],
  "hanging-health": ["watch", /^3 in a row: no answer$/],
  "flaky-health": ["watch", /^\d+ of \d+ probes failed$/],
};

let postgres;
let out;
before(async () => {
  out = await mkdtemp(join(tmpdir(), "billing-releases-"));
  await run(join(BILLING, "releases/build.sh"), [out], { timeout: 300_000 });
  postgres = await startPostgres();
});
after(async () => {
  await postgres?.stop();
  await rm(out, { recursive: true, force: true });
});

const folderOf = (name) => join(out, name);
const versionOf = (name) => (/^\d/.test(name) ? name : `1.0.1-${name}`);

test("the table speaks of every release that the script builds", async () => {
  const { stdout } = await run(join(BILLING, "releases/build.sh"), ["--list"]);
  assert.deepEqual(stdout.trim().split("\n").sort(), Object.keys(EXPECTED).sort());
});

test("each release is stopped by the check that should see it", async (t) => {
  const results = new Map();
  const waiting = [];
  // The checks before the rollout one release at a time, since they load the machine; the rollouts at once, since they wait.
  for (const name of Object.keys(EXPECTED)) {
    const databaseUrl = await databaseOf100(postgres, name, folderOf("1.0.0"));
    const release = { databaseUrl, folder: folderOf(name), version: versionOf(name) };
    const row = await beforeRollout(release);
    results.set(name, row);
    if (Object.values(row).every((result) => result === "ok")) {
      waiting.push(async () => {
        const startedAt = Date.now();
        row.watch = (await watch({ ...release, startedAt: () => startedAt })) ?? "ok";
      });
    }
  }
  await Promise.all(waiting.map((one) => one()));

  const cells = [...results].map(([name, row]) => [name, ...CHECKS.map((column) => row[column] ?? "–")]);
  for (const line of table([["release", ...CHECKS], ...cells])) t.diagnostic(line);

  for (const [name, row] of results) {
    const [check, says] = EXPECTED[name] ?? [];
    const stopped = Object.entries(row).filter(([, result]) => result !== "ok");
    if (check === undefined) {
      assert.deepEqual(stopped, [], `${name} is good, and was stopped`);
      assert.equal(Object.keys(row).length, CHECKS.length, `${name} did not come to the end`);
    } else {
      assert.deepEqual(
        stopped.map(([by]) => by),
        [check],
        `${name} was to be stopped by ${check}`,
      );
      assert.match(row[check], says);
    }
  }
});

describe("the release before, on the schema of the next", () => {
  const withBoth = async (name, ask) => {
    const databaseUrl = await databaseOf100(postgres, `old-on-${name}`, folderOf("1.0.0"));
    await migrate(databaseUrl, folderOf(name));
    const [old, next] = [
      await startService({ databaseUrl, folder: folderOf("1.0.0") }),
      await startService({ databaseUrl, folder: folderOf(name) }),
    ];
    try {
      await ask(insistentClientOf(old.url), insistentClientOf(next.url), old.url);
    } finally {
      await Promise.all([old.stop(), next.stop()]);
    }
  };
  const acme = { name: "Acme", country: "DE", time_zone: "Europe/Berlin", currency: "EUR" };

  test("after 1.1.0's migration it stays healthy, works, and loses nothing of the new release's", () =>
    withBoth("1.1.0", async (old, next) => {
      await next("PUT", "/api/customers/acme", { ...acme, purchase_order: "PO-1" });
      assert.deepEqual((await old("GET", "/api/health")).schema, { needed: 1, found: 2 });
      await old("PUT", "/api/customers/acme", { ...acme, name: "Acme GmbH" });
      const { name, purchase_order } = await next("GET", "/api/customers/acme");
      assert.deepEqual([name, purchase_order], ["Acme GmbH", "PO-1"]);
    }));

  // The claim of works_for is believed by health: that is why the schema check does not rest on it.
  test("after the breaking migration it says that it is healthy, and is not", () =>
    withBoth("breaking-migration", async (old, _, url) => {
      assert.equal((await old("GET", "/api/health")).status, "ok");
      const answer = await fetch(`${url}/api/customers/acme`, { signal: AbortSignal.timeout(5_000) });
      assert.equal(answer.status, 500);
    }));
});

function table(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]))
      .join("  ")
      .trimEnd(),
  );
}
