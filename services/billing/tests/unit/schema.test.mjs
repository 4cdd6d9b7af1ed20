// Which schema a release works on, and that the migrations say it.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { SCHEMA, schemaFault } from "../../dist/store/schema.js";

const MIGRATIONS = new URL("../../migrations/", import.meta.url);

describe("a release and the schema that it finds", () => {
  const fault = (version, works_for) => schemaFault({ version, works_for });
  test("works on its own, however many releases before it do so too", () => {
    for (let works_for = 1; works_for <= SCHEMA; works_for += 1) assert.equal(fault(SCHEMA, works_for), undefined);
  });
  test("works on a newer one as far as that says so", () => {
    for (const newer of [SCHEMA + 1, SCHEMA + 2, SCHEMA + 100]) {
      for (let works_for = 1; works_for <= SCHEMA; works_for += 1) assert.equal(fault(newer, works_for), undefined);
      for (const works_for of [SCHEMA + 1, newer]) {
        assert.match(fault(newer, works_for), new RegExp(`schema ${newer}, .*from schema ${works_for} on.* has ${SCHEMA}$`));
      }
    }
  });
  test("does not work on an older one, nor on none", () => {
    for (let version = 0; version < SCHEMA; version += 1) {
      assert.match(fault(version, Math.min(1, version)), new RegExp(`schema ${version}, .*needs ${SCHEMA}: run the migrations`));
    }
    assert.match(schemaFault(undefined), /no schema: run the migrations/);
  });
});

/** What is wrong with migrations: `[name, text]` each, in the order of their names. */
function faultsOf(migrations) {
  const faults = [];
  for (const [at, [name, text]] of migrations.entries()) {
    const number = at + 1;
    const say = (what) => faults.push(`${name}: ${what}`);
    if (!new RegExp(`^${String(number).padStart(3, "0")}_[a-z0-9_]+\\.sql$`).test(name)) say(`is not number ${number}`);
    const statements = text
      .replace(/--.*$/gm, "")
      .split(";")
      .map((statement) => statement.replace(/\s+/g, " ").trim());
    if (statements.pop() !== "") say("does not end with a semicolon");
    const said =
      number === 1
        ? /^INSERT INTO schema_version \(version, works_for\) VALUES \((\d+), (\d+)\)$/
        : /^UPDATE schema_version SET version = (\d+), works_for = (\d+)$/;
    const [, version, worksFor] = (said.exec(statements.at(-1)) ?? []).map(Number);
    if (version === undefined) say("its last statement does not set schema_version");
    else if (version !== number) say(`sets version ${version}`);
    else if (worksFor < 1 || worksFor > version) say(`works for ${worksFor}`);
    // postgres-migrations runs a file in a transaction unless it says otherwise.
    if (/postgres-migrations disable-transaction/.test(text)) say("is not one transaction");
  }
  return faults;
}

describe("migrations", () => {
  const own = readdirSync(MIGRATIONS)
    .sort()
    .map((name) => [name, readFileSync(new URL(name, MIGRATIONS), "utf8")]);

  test("are numbered without gaps, and each ends by saying which schema it makes and whom it works for", () => {
    assert.ok(own.length > 0);
    assert.deepEqual(faultsOf(own), []);
  });
  test("the release was written for the last one", () => {
    assert.equal(SCHEMA, own.length);
  });
  test("the lint sees what it is for", () => {
    const first = [
      "001_initial.sql",
      "CREATE TABLE t (); -- ;\nINSERT INTO schema_version (version, works_for)\nVALUES (1, 1);\n",
    ];
    const second = (text, name = "002_more.sql") => faultsOf([first, [name, text]]);
    const good = "UPDATE schema_version SET version = 2, works_for = 1;";
    assert.deepEqual(second(good), []);
    assert.deepEqual(second(`ALTER TABLE t ADD c text;\n\n${good.replace("1;", "2;")}\n`), []);
    for (const [text, name] of [
      [good, "003_more.sql"],
      [good, "02_more.sql"],
      [good, "002_more.js"],
      [`${good} DROP TABLE t;`],
      [`-- ${good}`],
      ["UPDATE schema_version SET version = 3, works_for = 1;"],
      ["UPDATE schema_version SET version = 1, works_for = 1;"],
      ["UPDATE schema_version SET version = 2, works_for = 3;"],
      ["UPDATE schema_version SET version = 2, works_for = 0;"],
      ["UPDATE schema_version SET version = 2;"],
      ["INSERT INTO schema_version (version, works_for) VALUES (2, 1);"],
      [good.slice(0, -1)],
      [`-- postgres-migrations disable-transaction\n${good}`],
      [""],
    ]) {
      assert.notDeepEqual(second(text, name), [], `${name} ${text}`);
    }
  });
});
