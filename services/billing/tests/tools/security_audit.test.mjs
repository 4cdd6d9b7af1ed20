// tools/security_audit.sh: every kind of finding is found, its place is told and never its text, and what was not looked at is
// never "nothing found". What is planted is put together here, so that no scanner takes this file for a leak.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, describe, test } from "node:test";
import { must, run, temporary, tools } from "./support.mjs";

const script = join(tools, "security_audit.sh");
const OFFLINE = { npm_config_registry: "http://127.0.0.1:1", npm_config_cache: "/nonexistent/npm" };

const integrity = "sha512-cQKh8igo5QUhZ7lg38DYWAxMvjSAKG0A8wGSVimP07SIUEK2UO+arSRKbRZWtelMtN5V0Hkwh5ryOto/SshYIg==";
const lodash = { version: "4.17.11", resolved: "https://registry.npmjs.org/lodash/-/lodash-4.17.11.tgz", integrity };

// package.json and package-lock.json of a project; `entries` are added to the packages, `lock` to the lockfile.
function project(dependencies, entries = {}, lock = {}, manifest = {}) {
  const packages = { "": { name: "x", version: "1.0.0", dependencies }, ...entries };
  return {
    "package.json": JSON.stringify({ name: "x", version: "1.0.0", dependencies, ...manifest }),
    "package-lock.json": JSON.stringify({ name: "x", version: "1.0.0", lockfileVersion: 3, requires: true, packages, ...lock }),
  };
}
const clean = project({ lodash: "4.17.11" }, { "node_modules/lodash": lodash });

// A git repository that tracks these files.
async function repository(t, files) {
  const folder = temporary(t);
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), text);
  }
  await must("git", ["init", "-q"], { cwd: folder });
  await must("git", ["add", "-A", "-f"], { cwd: folder });
  return folder;
}

// A program `npm` that cannot reach its registry: the real one takes a second to say so.
const stub = mkdtempSync(join(tmpdir(), "schleuse-tools-"));
after(() => rmSync(stub, { recursive: true, force: true }));
writeFileSync(join(stub, "npm"), `#!/bin/sh\necho '{"message":"request to http://user:hidden@127.0.0.1:1/x failed"}'\nexit 1\n`, {
  mode: 0o755,
});
const WITHOUT_NPM = { PATH: `${stub}:${process.env.PATH}` };

async function audit(folder, env = WITHOUT_NPM) {
  const { code, stdout, stderr } = await run(script, ["--json", folder], { env });
  assert.deepEqual([code, stderr], [0, ""]);
  const report = JSON.parse(stdout);
  const list = (entries) => entries.map(({ check, kind, at }) => `${check} ${kind} ${at}`).sort();
  return { findings: list(report.findings), notes: list(report.notes), notChecked: report.not_checked, stdout };
}

const letters = "aB3dE5gH7jK9mN1pQ2rS4tU6vW8xY0zAbCdEfGhI";
const secrets = {
  "private-key": `-----BEGIN ${"EC "}PRIVATE KEY-----`,
  "aws-access-key": `AKIA${"ABCDEFGHIJKLMNOP"}`,
  "github-token": `ghp_${letters.slice(0, 36)}`,
  "slack-token": `xoxb-${"1234567890-abcdef"}`,
  "npm-token": `npm_${letters.slice(0, 36)}`,
};

describe("secrets", { concurrency: 4 }, () => {
  test("each kind is found, its place is told, its text is not", async (t) => {
    const files = Object.fromEntries(
      Object.entries(secrets).map(([kind, text]) => [`a: "b"/${kind}.txt`, `first\nx = '${text}'\n`]),
    );
    const folder = await repository(t, { ...clean, ...files, ".npmrc": `//example.org/:_authToken=${letters}\n` });
    const expected = Object.keys(secrets).map((kind) => `secrets ${kind} a: "b"/${kind}.txt:2`);
    const { findings, stdout } = await audit(folder);
    assert.deepEqual(findings, [...expected, "secrets npm-token .npmrc:1"].sort());
    const { stdout: lines } = await run(script, [folder], { env: WITHOUT_NPM });
    assert.match(lines, /^secrets: finding: aws-access-key a: "b"\/aws-access-key\.txt:2: looks like a aws-access-key$/m);
    for (const text of [...Object.values(secrets), letters]) assert.ok(!(stdout + lines).includes(text), text);
  });

  test("what looks alike is not: names, variables, public keys, shorter words", async (t) => {
    const text = `-----BEGIN PUBLIC KEY-----\n_authToken=\${NPM_TOKEN}\nXAKIA${"ABCDEFGHIJKLMNOP"}\nghp_short\nnpm_config_registry\n`;
    assert.deepEqual((await audit(await repository(t, { ...clean, "a.txt": text }))).findings, []);
  });

  test("files that hold secrets are found where git tracks them", async (t) => {
    const files = { ".env": "A=1", "deploy/.env.production": "A=1", "tls/server.key": "x", ".env.example": "A=", "a.key.ts": "" };
    const folder = await repository(t, { ...clean, ...files });
    writeFileSync(join(folder, "untracked.key"), secrets["private-key"]);
    assert.deepEqual((await audit(folder)).findings, [
      "files tracked-file .env",
      "files tracked-file deploy/.env.production",
      "files tracked-file tls/server.key",
    ]);
  });

  test("a comment allows the kind that it names, in its line and the next", async (t) => {
    const allow = (kind) => `# security-audit: allow ${kind} (a test's)`;
    const key = secrets["private-key"];
    const folder = await repository(t, {
      ...clean,
      "a.pem": `${allow("private-key")}\n${key}\n`,
      "b.txt": `${secrets["aws-access-key"]} ${allow("aws-access-key")}\n`,
      "c.pem": `${allow("npm-token")}\n${key}\n`,
      "d.pem": `${allow("private-key")}\n\n${key}\n`,
      "e.key": allow("tracked-file"),
    });
    const { findings, notes } = await audit(folder);
    assert.deepEqual(findings, ["secrets private-key c.pem:2", "secrets private-key d.pem:3"]);
    assert.deepEqual(notes, ["files allowed e.key", "secrets allowed a.pem:2", "secrets allowed b.txt:1"]);
  });

  test("a folder that git does not know is not checked", async (t) => {
    const { findings, notChecked } = await audit(temporary(t));
    assert.deepEqual(findings, []);
    assert.deepEqual(
      notChecked.map(({ check }) => check),
      ["npm-audit", "lockfile", "secrets", "files"],
    );
  });
});

describe("package-lock.json", { concurrency: 4 }, () => {
  const found = (name, files, findings, notes = []) =>
    test(name, async (t) => {
      const report = await audit(await repository(t, files));
      assert.deepEqual(
        [report.findings, report.notes],
        [findings.map((finding) => `lockfile ${finding}`), notes.map((note) => `lockfile ${note}`)],
      );
    });
  const a = "node_modules/a";
  const resolved = (url) => project({ a: "1.0.0" }, { [a]: { version: "1.0.0", resolved: url, integrity } });
  found("nothing is found in a good one", clean, []);
  found("it is missing", { "package.json": "{}" }, ["missing package-lock.json"]);
  found("a package is missing", project({ a: "1.0.0" }), ["out-of-sync a"]);
  found(
    "package.json says something else",
    project({ lodash: "4.17.11" }, { "node_modules/lodash": lodash }, {}, { dependencies: { lodash: "^4" } }),
    ["out-of-sync package-lock.json"],
  );
  found("an old version", project({}, {}, { lockfileVersion: 2 }), ["old-version package-lock.json"]);
  found("no integrity", project({ a: "1.0.0" }, { [a]: { version: "1.0.0" } }), ["no-integrity a@1.0.0"]);
  found("a weak integrity", project({ a: "1.0.0" }, { [a]: { version: "1.0.0", integrity: "sha1-x" } }), [
    "no-integrity a@1.0.0",
  ]);
  found("by http", resolved("http://example.org/a.tgz"), ["source a@1.0.0"]);
  found("by git", resolved("git+ssh://git@example.org/a.git#0"), ["source a@1.0.0"]);
  found("from a file", resolved("file:a.tgz"), ["source a@1.0.0"]);
  found("from a folder", project({ a: "file:a" }, { [a]: { resolved: "a", link: true }, a: { version: "1.0.0" } }), [
    "source a@",
    "source a@1.0.0",
  ]);
  found(
    "scripts are listed",
    project(
      { lodash: "4.17.11" },
      { "node_modules/lodash": lodash, [`node_modules/lodash/${a}`]: { version: "2.0.0", integrity, hasInstallScript: true } },
    ),
    [],
    ["install-script a@2.0.0"],
  );
  test("what is no JSON is not checked", async (t) => {
    const { notChecked } = await audit(await repository(t, { ...clean, "package-lock.json": "{" }));
    assert.ok(notChecked.some(({ check }) => check === "lockfile"));
  });
});

// A registry with one answer to the question for advisories.
async function registry(t, status, advisories) {
  const server = createServer((request, response) => {
    const packument = {
      name: "lodash",
      "dist-tags": { latest: "4.17.11" },
      versions: { "4.17.11": { name: "lodash", version: "4.17.11" } },
    };
    const asked = request.url.startsWith("/-/npm/v1/security/");
    response.writeHead(asked ? status : 200, { "content-type": "application/json" });
    response.end(JSON.stringify(asked ? advisories : packument));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  return { npm_config_registry: `http://user:hidden@127.0.0.1:${server.address().port}/`, npm_config_cache: temporary(t) };
}

describe("npm audit", { concurrency: 4 }, () => {
  const advisory = {
    id: 1,
    url: "https://example.org/1",
    title: "Prototype\tpollution",
    severity: "high",
    vulnerable_versions: "<4.17.12",
  };

  test("what the registry knows is found", async (t) => {
    const { findings, notChecked } = await audit(await repository(t, clean), await registry(t, 200, { lodash: [advisory] }));
    assert.deepEqual([findings, notChecked], [["npm-audit high lodash@<4.17.12"], []]);
  });

  test("nothing found is believed of a registry that knows what everybody knows", async (t) => {
    const other = project({ a: "1.0.0" }, { "node_modules/a": { version: "1.0.0", integrity } });
    const { findings, notChecked } = await audit(await repository(t, other), await registry(t, 200, { lodash: [advisory] }));
    assert.deepEqual([findings, notChecked], [[], []]);
  });

  const unknown = (name, state, reason, env) =>
    test(name, async (t) => {
      const { findings, notChecked, stdout } = await audit(await repository(t, clean), await env(t));
      assert.deepEqual([findings, notChecked.map(({ check, state }) => [check, state])], [[], [["npm-audit", state]]]);
      assert.match(notChecked[0].reason, reason);
      assert.doesNotMatch(stdout, /hidden/);
    });
  unknown("an address in npm's words", "NOT REACHABLE", /^request to the registry failed$/, () => WITHOUT_NPM);
  unknown("a registry that is not there", "NOT REACHABLE", /ECONNREFUSED/, () => OFFLINE);
  unknown("a registry without the question", "NOT CHECKED", /405 Method Not Allowed/, (t) => registry(t, 405, {}));
  unknown("a registry that knows of nothing", "NOT CHECKED", /knows no advisories/, (t) => registry(t, 200, {}));
  unknown("npm that is told to stay offline", "NOT CHECKED", /knows no advisories/, () => ({ npm_config_offline: "true" }));
});

test("the report for people: what was not checked, what was found, and the sum last", async (t) => {
  const folder = await repository(t, { ...clean, ".env": "A=1" });
  const { code, stdout } = await run(script, [folder], { env: WITHOUT_NPM });
  assert.equal(code, 0);
  assert.equal(
    stdout.replace(/REACHABLE: .*/, "REACHABLE: ..."),
    `security audit of ${folder} (a report: it fails nothing)
npm-audit: NOT REACHABLE: ...
lockfile: nothing found
secrets: nothing found
files: finding: tracked-file .env: is tracked by git: such files hold secrets
findings 1, not checked 1
`,
  );
});

test("wrong usage is the only failure", async () => {
  for (const args of [["--frobnicate"], ["/nowhere"], ["a", "b"], [""]])
    assert.equal((await run(script, args)).code, 2, args.join(" "));
});
