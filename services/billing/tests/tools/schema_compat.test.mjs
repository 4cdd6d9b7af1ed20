// tools/schema_compat_check.sh against real databases: every kind of change with its answer, both ways of asking, and what must
// never happen: a password seen, an old database changed, something left behind, "compatible" where nobody knows.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { base, cases } from "./schema_compat.cases.mjs";
import { commandLines, must, run, start, startCluster, temporary, tools } from "./support.mjs";

const script = join(tools, "schema_compat_check.sh");
const check = (args, env) => run(script, args, { env });

// Every character that an URL or a shell could trip over.
const PASSWORD = "p@ss:w/ord%";

const MIGRATIONS = {
  "001_initial.sql": base,
  // With the hash that postgres-migrations 5.3.0 itself stored for it.
  "002-add.sql": "ALTER TABLE customers ADD COLUMN memo text DEFAULT 'a;b';\n",
};
const sha1 = (file, text) => createHash("sha1").update(file).update(text).digest("hex");
assert.equal(sha1("002-add.sql", MIGRATIONS["002-add.sql"]), "fa4061d5d477f9721b3031416301c9617b84c575");

let cluster;
let old;
before(async () => {
  cluster = await startCluster();
  const row = (id, file) => `(${id}, '${file}', '${sha1(file, MIGRATIONS[file])}')`;
  await cluster.sql(`CREATE ROLE reader LOGIN PASSWORD '${PASSWORD}' IN ROLE pg_read_all_data;
    CREATE ROLE app; CREATE DATABASE base; CREATE DATABASE migrated`);
  await cluster.sql(base, "base");
  await cluster.sql("CREATE DATABASE old TEMPLATE base");
  // Each case has a schema of its own in both of these: a database of its own takes three times as long.
  const own = (_, index) => `CREATE SCHEMA case${index}; SET search_path = case${index}; ${base}`;
  await cluster.sql(`CREATE DATABASE before;\n\\c before\nBEGIN; ${cases.map(own).join("")} COMMIT;`);
  const change = ({ sql }, index) => `SET search_path = case${index}; ${sql};\n`;
  await cluster.sql(`CREATE DATABASE after TEMPLATE before;\n\\c after\n${cases.map(change).join("")}`);
  await cluster.sql(
    `${base} ${MIGRATIONS["002-add.sql"]}
     INSERT INTO migrations VALUES (0, 'create-migrations-table', 'x'), ${row(1, "001_initial.sql")}, ${row(2, "002-add.sql")}`,
    "migrated",
  );
  old = cluster.url("migrated", "reader", PASSWORD);
});
after(() => cluster?.stop());

const codes = (list) => list.map(({ code, object }) => `${code} ${object}`).sort();

describe("every kind of change has its answer", { concurrency: 4 }, () => {
  for (const [index, { name, findings, warnings }] of cases.entries()) {
    test(name, async () => {
      const schema = `case${index}`;
      const env = { OLD: cluster.url("before", "reader", PASSWORD), NEW: cluster.url("after", "reader", PASSWORD) };
      const { code, stdout, stderr } = await check(["--old", "env:OLD", "--new", "env:NEW", "--schema", schema, "--json"], env);
      assert.equal(stderr, "");
      const report = JSON.parse(stdout);
      assert.deepEqual(codes(report.findings), findings.toSorted());
      // Findings say it all: what else is worth a warning there is not listed in the table.
      if (findings.length === 0) assert.deepEqual(codes(report.warnings), warnings.toSorted());
      assert.deepEqual([report.verdict, code], findings.length ? ["incompatible", 1] : ["compatible", 0]);
      for (const { message, hint } of [...report.findings, ...report.warnings]) assert.ok(message && hint);
    });
  }
});

// A folder with MIGRATIONS and more files; null takes one away.
function folder(t, more) {
  const path = join(temporary(t), "my $(migrations)");
  mkdirSync(path);
  for (const [file, text] of Object.entries({ ...MIGRATIONS, ...more })) if (text !== null) writeFileSync(join(path, file), text);
  return path;
}

// The check of a folder, with a TMPDIR of its own that has to be empty afterwards.
async function checkFolder(t, more, args = []) {
  const TMPDIR = temporary(t);
  const result = await check(["--old", "env:OLD", "--migrations", folder(t, more), ...args], { OLD: old, TMPDIR });
  assert.deepEqual(readdirSync(TMPDIR), []);
  return result;
}

describe("two databases", () => {
  test("the report for people names both versions' differences, one a line", async () => {
    await cluster.sql("CREATE DATABASE people TEMPLATE base;\n\\c people\nDROP VIEW drafts; ALTER TABLE customers DROP legacy");
    const { code, stdout } = await check(["--old", "env:OLD", "--new", "env:NEW"], {
      OLD: cluster.url("old"),
      NEW: cluster.url("people"),
    });
    assert.equal(code, 1);
    assert.equal(
      stdout,
      `INCOMPATIBLE 2 findings
column-dropped customers.legacy: the column is gone; hint: drop it in a later release, when no release that uses it can come back
view-dropped drafts: the view is gone; hint: drop it in a later release, when no release that uses it can come back
`,
    );
  });

  test("the report for programs", async () => {
    const { code, stdout } = await check(["--old", "env:OLD", "--new", "env:NEW", "--json"], {
      OLD: cluster.url("old"),
      NEW: cluster.url("base"),
    });
    const report = JSON.parse(stdout);
    const { server_version: server } = report.old;
    assert.match(server, /^\d+\.\d+$/);
    assert.deepEqual(
      [code, report],
      [
        0,
        {
          schema: "schema-compat-v1",
          verdict: "compatible",
          old: { server_version: server, schema_version: 3 },
          new: { server_version: server, schema_version: 3 },
          findings: [],
          warnings: [],
        },
      ],
    );
  });

  test("an extension is dropped", async () => {
    await cluster.sql("CREATE DATABASE bare TEMPLATE base;\n\\c bare\nDROP EXTENSION plpgsql");
    const env = { OLD: cluster.url("old"), NEW: cluster.url("bare") };
    const { code, stdout } = await check(["--old", "env:OLD", "--new", "env:NEW", "--json"], env);
    assert.deepEqual([code, codes(JSON.parse(stdout).findings)], [1, ["extension-dropped plpgsql"]]);
  });

  test("servers of two major versions are warned of", async () => {
    const document = (version) =>
      `'{"server_version":"${version}","exists":true,"declared":null,"relations":[{"name":"t","kind":"table","writable":28}]}'`;
    const compare = (from, to) =>
      cluster.sql(`\\set schema x\n\\set json on\n\\set migrations '[]'\n\\set old_server ''
        \\set old ${document(from)}\n\\set new ${document(to)}\n\\i ${join(tools, "schema_compat_check.compare.sql")}\n`);
    assert.match(await compare("14.2", "15.1"), /^compatible\n.*"code" : "server-version-differs"/);
    assert.match(await compare("15.2", "15.1"), /^compatible\n.*"warnings" : \[\]/);
  });

  test("another schema than public, and names that need quotes", async () => {
    const name = `a"b'c \\d`;
    const quoted = `"${name.replace('"', '""')}"`;
    await cluster.sql(
      `CREATE DATABASE odd1;\n\\c odd1\nCREATE SCHEMA ${quoted} CREATE TABLE ${quoted} (x int, ${quoted} text);
      CREATE DATABASE odd2 TEMPLATE odd1`.replace("CREATE DATABASE odd2 TEMPLATE odd1", ""),
    );
    await cluster.sql(`CREATE DATABASE odd2 TEMPLATE odd1;\n\\c odd2\nALTER TABLE ${quoted}.${quoted} DROP ${quoted}`);
    const env = { OLD: cluster.url("odd1"), NEW: cluster.url("odd2") };
    const { code, stdout } = await check(["--old", "env:OLD", "--new", "env:NEW", "--json", "--schema", name], env);
    assert.deepEqual([code, codes(JSON.parse(stdout).findings)], [1, [`column-dropped ${quoted}.${quoted}`]]);
  });
});

describe("no answer is neither yes nor no", { concurrency: 4 }, () => {
  const unanswered = (name, args, says, env = () => ({})) =>
    test(name, async () => {
      const { code, stdout, stderr } = await check(args, { OLD: old, ...env() });
      assert.deepEqual([code, stdout], [2, ""]);
      assert.match(stderr, says);
    });
  const both = ["--old", "env:OLD", "--new", "env:NEW"];
  unanswered("no arguments", [], /--old is missing/);
  unanswered("neither --new nor --migrations", ["--old", "env:OLD"], /one of --new and --migrations/);
  unanswered("both of them", [...both, "--migrations", tools], /one of --new and --migrations/);
  unanswered("an unknown argument", ["--frobnicate"], /unknown: --frobnicate/);
  unanswered("a variable that is not set", both, /NEW, the new database's URL, is not set/, () => ({ NEW: "" }));
  unanswered("the same database twice", both, /are the same/, () => ({ NEW: old }));
  unanswered("a server that does not answer", both, /Connection refused/, () => ({ NEW: "postgres://u:p@127.0.0.1:1/x" }));
  unanswered("a wrong password", both, /password authentication failed/, () => ({ NEW: cluster.url("old", "reader", "wrong") }));
  unanswered("a database that is not there", both, /"nowhere" does not exist/, () => ({ NEW: cluster.url("nowhere") }));
  unanswered("a schema that is not there", [...both, "--schema", "nowhere"], /has no schema nowhere/, () => ({
    NEW: cluster.url("old"),
  }));
  unanswered("an old database with nothing in it", both, /nothing in the schema public/, () => ({
    OLD: cluster.url("postgres"),
    NEW: cluster.url("old"),
  }));
  unanswered("a parameter that would bring a password", both, /is not taken/, () => ({
    NEW: `${cluster.url("old")}?password=x`,
  }));
  unanswered("a folder that is not there", ["--old", "env:OLD", "--migrations", "/nowhere"], /no folder/);
  unanswered("a folder without migrations", ["--old", "env:OLD", "--migrations", "/proc/self/fd"], /has no migrations/);
  unanswered(
    "an old database whose migrations nobody wrote down",
    ["--old", "env:OLD", "--migrations", join(tools, "../services/billing/migrations")],
    /has no table migrations/,
    () => ({ OLD: cluster.url("odd0") }),
  );
  before(() => cluster.sql("CREATE DATABASE odd0;\n\\c odd0\nCREATE TABLE t (x int)"));

  test("a version table without its row", async () => {
    await cluster.sql("CREATE DATABASE rowless TEMPLATE base;\n\\c rowless\nDELETE FROM schema_version");
    const { code, stderr } = await check(both, { OLD: old, NEW: cluster.url("rowless") });
    assert.deepEqual([code, /schema_version of the new database/.test(stderr)], [2, true]);
  });

  test("a password that is not percent-encoded is not taken apart, nor shown", async () => {
    const { code, stdout, stderr } = await check(both, {
      OLD: old,
      NEW: `postgres://reader:${PASSWORD}@127.0.0.1:${cluster.port}/old`,
    });
    assert.equal(code, 2);
    assert.match(stderr, /NEW is not a URL/);
    for (const part of ["ss:w", "ord%"]) assert.ok(!(stdout + stderr).includes(part), part);
  });

  test("an old database that is being migrated meanwhile", async (t) => {
    await cluster.sql("CREATE DATABASE racing TEMPLATE migrated");
    // Somebody's migration, which ends when pg_dump waits for its lock.
    const migration = cluster.sql(
      `BEGIN; LOCK TABLE customers; INSERT INTO migrations VALUES (3, 'x', 'x');
      DO $$ BEGIN
        FOR i IN 1..1000 LOOP
          IF EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'customers'::regclass) THEN RETURN; END IF;
          PERFORM pg_sleep(0.02);
        END LOOP;
      END $$;
      COMMIT`,
      "racing",
    );
    const locked =
      "SELECT count(*) FROM pg_locks WHERE granted AND relation = 'customers'::regclass AND mode = 'AccessExclusiveLock'";
    while ((await cluster.sql(locked, "racing")).trim() !== "1") await sleep(20);
    const { code, stdout, stderr } = await check(["--old", "env:OLD", "--migrations", folder(t, {})], {
      OLD: cluster.url("racing"),
    });
    await migration;
    assert.deepEqual([code, stdout, /is being migrated right now/.test(stderr)], [2, "", true]);
  });

  test("migrations in JavaScript", async (t) => {
    const { code, stderr } = await checkFolder(t, { "003_x.js": "module.exports.generateSql = () => ''" });
    assert.deepEqual([code, /003_x.js: migrations in JavaScript/.test(stderr)], [2, true]);
  });
});

describe("a folder of migrations", { concurrency: 4 }, () => {
  test("pending ones are tried on a copy; the old database stays as it is; nobody sees the password", async (t) => {
    const unchanged = await cluster.dump("migrated");
    let looking = true;
    const seen = new Set();
    const watch = (async () => {
      while (looking) {
        for (const line of commandLines()) seen.add(line);
        await sleep(10);
      }
    })();
    const { code, stdout, stderr } = await checkFolder(
      t,
      {
        "003_index.sql": "-- postgres-migrations disable-transaction\nCREATE INDEX CONCURRENTLY ON customers (memo);\n",
        "004_owner.sql":
          "CREATE TABLE payments (id int); ALTER TABLE payments OWNER TO app; ALTER TABLE customers OWNER TO postgres;\n",
        // Refused outside a transaction, as the index before is inside.
        "005_lock.sql": "LOCK TABLE customers",
        "006_version.sql": "UPDATE schema_version SET version = 4, works_for = 3;\n",
        "README.md": "no migration",
      },
      ["--json"],
    );
    await must("sh", ["-c", "sleep 0.2; :", "what is to be seen"]);
    looking = false;
    await watch;
    const report = JSON.parse(stdout);
    assert.deepEqual([code, report.findings, report.warnings], [0, [], []]);
    assert.deepEqual([report.old.schema_version, report.new.schema_version], [3, 4]);
    assert.deepEqual(stderr.match(/(?<=applying )\d+/g), ["003", "004", "005", "006"]);
    assert.equal(await cluster.dump("migrated"), unchanged);
    // The watcher saw what there was, and the password with none of it.
    assert.ok([...seen].some((line) => line.includes("what is to be seen")));
    assert.ok([...seen].some((line) => line.includes("pg_dump") && line.includes("reader@")));
    for (const text of [PASSWORD, encodeURIComponent(PASSWORD)]) {
      assert.deepEqual(
        [...seen].filter((line) => line.includes(text)),
        [],
      );
      assert.ok(!(stdout + stderr).includes(text));
    }
  });

  test("a change that the old release does not survive", async (t) => {
    const { code, stdout } = await checkFolder(t, { "003_x.sql": "BEGIN; ALTER TABLE customers RENAME memo TO remark; COMMIT" });
    assert.equal(code, 1);
    assert.match(stdout, /^INCOMPATIBLE 1 finding\ncolumn-renamed customers\.memo: the column is now called remark; hint: .*\n$/);
  });

  test("a migration that fails, and none after it; psql's commands, which reach a shell, are a mistake like any other", async (t) => {
    const touched = join(temporary(t), "touched");
    const files = { "003_x.sql": `\\! touch ${touched}\n`, "004_y.sql": "SELECT 1" };
    const { code, stdout, stderr } = await checkFolder(t, files, ["--json"]);
    const [{ code: finding, object, message }] = JSON.parse(stdout).findings;
    assert.deepEqual([code, finding, object], [1, "migration-failed", "003_x.sql"]);
    assert.equal(message, '42601: syntax error at or near "\\"');
    assert.doesNotMatch(stderr, /004_y/);
    assert.ok(!existsSync(touched));
  });

  test("a migration with more power than the database's owner has", async (t) => {
    const { stdout } = await checkFolder(t, { "003_x.sql": "COPY customers FROM PROGRAM 'echo'" }, ["--json"]);
    assert.match(JSON.parse(stdout).findings[0].message, /^42501: must be superuser/);
  });

  test("an applied migration was edited", async (t) => {
    const { code, stdout } = await checkFolder(t, { "002-add.sql": `${MIGRATIONS["002-add.sql"]}-- a word\n` }, ["--json"]);
    assert.deepEqual([code, codes(JSON.parse(stdout).findings)], [1, ["migration-edited 002-add.sql"]]);
  });

  test("numbers that do not go on, files without one, and applied migrations without a file", async (t) => {
    const files = { "001_initial.sql": null, "002_again.sql": "", "004_x.sql": "", "add.sql": "" };
    const { code, stdout } = await checkFolder(t, files, ["--json"]);
    assert.deepEqual(
      [code, codes(JSON.parse(stdout).findings)],
      [
        1,
        [
          "migration-edited 002_again.sql",
          "migration-name add.sql",
          // Two have the number 2, where 1 and 2 are due; 3 is missing.
          "migration-order 002-add.sql",
          "migration-unknown 1_001_initial.sql",
        ],
      ],
    );
  });

  test("a file that is numbered below an applied one", async (t) => {
    await cluster.sql("CREATE DATABASE gap TEMPLATE migrated;\n\\c gap\nDELETE FROM migrations WHERE id = 1");
    const args = ["--old", "env:OLD", "--migrations", folder(t, {}), "--json"];
    const { code, stdout } = await check(args, { OLD: cluster.url("gap") });
    assert.deepEqual([code, codes(JSON.parse(stdout).findings)], [1, ["migration-order 001_initial.sql"]]);
  });

  for (const [signal, code] of [
    ["SIGTERM", 143],
    ["SIGINT", 130],
  ])
    test(`nothing is left after ${signal}`, async (t) => {
      const TMPDIR = temporary(t);
      const migrations = folder(t, { "003_slow.sql": "SELECT pg_sleep(25)" });
      const { child, text, ended } = start(script, ["--old", "env:OLD", "--migrations", migrations], {
        env: { OLD: old, TMPDIR },
      });
      while (!text.stderr.includes("applying 003_slow.sql")) await sleep(20);
      await sleep(200);
      const ours = () => commandLines().filter((line) => line.includes(TMPDIR));
      assert.ok(ours().some((line) => line.includes("postgres")) && readdirSync(TMPDIR).length > 0);
      child.kill(signal);
      assert.equal((await ended).code, code);
      assert.deepEqual([ours(), readdirSync(TMPDIR)], [[], []]);
    });
});
