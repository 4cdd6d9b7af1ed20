// The contract: the running service does what its OpenAPI document says (schemathesis tries to show otherwise), and it still does
// what the documents of earlier releases said (openapi/<version>.json).
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { baseUrl, insistentClientOf } from "./support/client.mjs";
import { losses } from "./support/openapi.mjs";

const RELEASED = fileURLToPath(new URL("../openapi", import.meta.url));
const base = baseUrl();
const api = insistentClientOf(base);
const served = await api("GET", "/api/openapi.json");
const released = readdirSync(RELEASED).filter((name) => name.endsWith(".json"));
const documentOf = (name) => JSON.parse(readFileSync(join(RELEASED, name), "utf8"));

/** schemathesis, where tools/peers/service.sh puts it or on PATH. Not there is a failure, not a pass. */
function schemathesis() {
  const cache = process.env.XDG_CACHE_HOME || join(homedir(), ".cache");
  const folders = [join(cache, "schleuse/peers/bin"), ...(process.env.PATH ?? "").split(delimiter)];
  const found = folders.map((folder) => join(folder, "schemathesis")).find(existsSync);
  assert.ok(found, "schemathesis is not installed: run tools/peers/service.sh");
  return found;
}

async function runSchemathesis(document, options) {
  const folder = await mkdtemp(join(tmpdir(), "billing-contract-"));
  try {
    const child = spawn(
      schemathesis(),
      [
        "run",
        document,
        "--url",
        base,
        "--no-color",
        "--seed=1",
        "--generation-deterministic",
        "--continue-on-failure",
        ...options,
      ],
      {
        cwd: folder,
        stdio: ["ignore", "pipe", "pipe"],
        timeout: 1_800_000,
      },
    );
    let output = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (bytes) => {
        output = (output + bytes).slice(-12_000);
      });
    const [code, signal] = await once(child, "close");
    return { code, signal, output };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

describe("contract", () => {
  // The documents' examples all speak of these; with them there, the examples reach the code behind the look-ups.
  before(async () => {
    const tiers = [{ up_to: "100", unit_price: "0.10" }, { unit_price: "0.08" }];
    await api("PUT", "/api/plans/acme", {
      kind: "tiered",
      name: "Traffic",
      currency: "EUR",
      fee: "29.90",
      metric: "traffic",
      unit: "GB",
      mode: "graduated",
      tiers,
    });
    await api("PUT", "/api/customers/acme", {
      name: "Acme GmbH",
      country: "DE",
      vat_id: "DE123456789",
      time_zone: "Europe/Berlin",
      currency: "EUR",
    });
    await api("PUT", "/api/customers/acme/subscriptions/acme", { plan: "acme", from: "2025-03-10" });
  });

  test("the document of this version, where there is one, is the one that is served", () => {
    const own = `${served.info.version}.json`;
    if (released.includes(own)) assert.deepEqual(served, documentOf(own), "run `npm run openapi`, and look at what changed");
    assert.ok(released.length > 0, "openapi/ has no document");
  });

  for (const name of released) {
    test(`nothing that a client of ${name} relies on is gone`, () => {
      assert.deepEqual(losses(documentOf(name), served), []);
    });
    // This version's own document is what the last test is about.
    if (name === `${served.info.version}.json`) continue;
    test(`answers are as ${name} describes them`, async () => {
      // Only what a client reads: a newer service may take more than the old document allows.
      const checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";
      const { code, output } = await runSchemathesis(join(RELEASED, name), [
        `--checks=${checks}`,
        "--phases=examples,coverage",
        "--warnings=off",
      ]);
      assert.equal(code, 0, output);
    });
  }

  test("schemathesis finds nothing that the document does not say", async () => {
    // Left out, since JSON Schema cannot say it: that a unit, a time zone or a pair of dates makes sense. 422 is for that.
    const options = [
      "--checks=all",
      "--exclude-checks=positive_data_acceptance",
      `--max-examples=${process.env.CONTRACT_EXAMPLES ?? 10}`,
      "--warnings=off",
    ];
    const { code, output } = await runSchemathesis(`${base}/api/openapi.json`, options);
    assert.equal(code, 0, output);
  });
});
