// tools/postgres.sh: clusters come, answer, and go without a trace.
import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { commandLines, must, run, start, temporary, tools } from "./support.mjs";

const script = join(tools, "postgres.sh");
const processesOf = (folder) => commandLines().filter((line) => line.includes(folder));

async function psql(url, sql) {
  const bin = (await must(script, ["bin", "psql"])).trim();
  const { username, password, hostname, port, pathname } = new URL(url);
  const args = ["-X", "-A", "-t", "-w", "-h", hostname, "-p", port, "-U", username, "-d", pathname.slice(1), "-c", sql];
  return run(join(bin, "psql"), args, { env: { PGPASSWORD: password } });
}

describe("a cluster", { concurrency: 4 }, () => {
  test("starts, answers to its password only, and goes without a trace, as often as asked", async (t) => {
    // Longer than a socket's path may be.
    const folder = join(temporary(t), "with a space", "long".repeat(30));
    const printed = await must(script, ["start", "--database", "billing", folder]);
    assert.match(printed, /^postgres:\/\/postgres:[0-9a-f]{48}@127\.0\.0\.1:2\d{4}\/billing\n$/);
    const url = printed.trim();
    const { stdout } = await psql(
      url,
      "SELECT current_database(), current_setting('password_encryption'), current_setting('is_superuser')",
    );
    assert.equal(stdout, "billing|scram-sha-256|on\n");
    const { code, stderr } = await psql(url.replace(/:[0-9a-f]{48}@/, ":wrong@"), "SELECT 1");
    assert.deepEqual([code, /password authentication failed/.test(stderr)], [2, true]);
    assert.equal(statSync(folder).mode & 0o777, 0o700);
    assert.ok(processesOf(folder).length > 0);

    await must(script, ["stop", folder]);
    assert.deepEqual([processesOf(folder), existsSync(folder)], [[], false]);
    await must(script, ["stop", folder]);
  });

  test("takes another port where one is taken", async (t) => {
    const parent = temporary(t);
    const first = new URL((await must(script, ["start", join(parent, "first")])).trim());
    t.after(() => must(script, ["stop", join(parent, "first")]));
    // The random numbers, which begin with the first one's port.
    const bin = join(parent, "bin");
    mkdirSync(bin);
    const od = `#!/bin/sh
case "$*" in
*-tu2*) [ -e "${parent}/asked" ] || { : >"${parent}/asked"; echo ${first.port - 20000}; exit; } ;;
esac
PATH=\${PATH#*:} exec od "$@"
`;
    writeFileSync(join(bin, "od"), od);
    chmodSync(join(bin, "od"), 0o755);
    const env = { PATH: `${bin}:${process.env.PATH}` };
    const second = new URL((await must(script, ["start", join(parent, "second")], { env })).trim());
    t.after(() => must(script, ["stop", join(parent, "second")]));
    assert.ok(existsSync(join(parent, "asked")));
    assert.notEqual(second.port, first.port);
    assert.equal((await psql(second.href, "SELECT 1")).stdout, "1\n");
  });

  test("leaves nothing behind when its start is ended", async (t) => {
    const folder = join(temporary(t), "cluster");
    const { child, ended } = start(script, ["start", folder]);
    while (!processesOf(folder).some((line) => line.includes(`${folder}/data`))) await sleep(5);
    child.kill("SIGTERM");
    assert.equal((await ended).code, 143);
    assert.deepEqual([processesOf(folder), existsSync(folder)], [[], false]);
  });

  test("leaves nothing behind when it does not start", async (t) => {
    // The shell's own limit on files: initdb cannot write.
    const folder = join(temporary(t), "cluster");
    const { code, stderr } = await run("sh", ["-c", `ulimit -f 64; exec '${script}' start '${folder}'`]);
    assert.deepEqual([code, /initdb failed/.test(stderr), existsSync(folder)], [1, true, false]);
  });

  test("ordinary users have them as well", async (t) => {
    if (process.getuid() !== 0) return t.skip("it is an ordinary user who runs all of this");
    const parent = temporary(t);
    chmodSync(parent, 0o777);
    await must("cp", [script, join(tools, "lib.sh"), parent]);
    const command = `cd '${parent}' && ./postgres.sh start cluster && stat -c %U cluster && ./postgres.sh stop cluster`;
    const printed = await must("setpriv", ["--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "sh", "-c", command]);
    assert.match(printed, /^postgres:\/\/.*\nnobody\n$/);
    assert.ok(!existsSync(join(parent, "cluster")));
  });
});

test("a folder with something in it is neither used nor removed", async (t) => {
  const folder = temporary(t);
  writeFileSync(join(folder, "precious"), "");
  for (const verb of ["start", "stop"]) assert.equal((await run(script, [verb, folder])).code, 1);
  assert.deepEqual(readdirSync(folder), ["precious"]);
});

test("wrong usage is told from failure", async () => {
  for (const args of [[], ["start"], ["stop"], ["stop", ""], ["start", "--database", "x"], ["restart", "x"], ["bin", "a", "b"]])
    assert.equal((await run(script, args)).code, 2, args.join(" "));
  assert.equal((await run(script, ["bin", "no-such-program"])).code, 1);
});
