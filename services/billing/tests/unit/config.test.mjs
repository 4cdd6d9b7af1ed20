// Settings: every mistake named at once, an empty variable is no variable, the password is nobody's business.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { ConfigError, readConfig } from "../../dist/config.js";

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
const DATABASE_URL = "postgres://billing:secret@127.0.0.1:5432/billing";
const read = (env) => readConfig({ DATABASE_URL, ...env });
function mistakes(env) {
  try {
    readConfig(env);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.message;
  }
  return assert.fail(`${JSON.stringify(env)} was taken`);
}

describe("settings", () => {
  test("nothing but the database is needed", () => {
    assert.deepEqual(read({}), {
      host: "0.0.0.0",
      port: 3000,
      databaseUrl: DATABASE_URL,
      databaseConnections: 10,
      sellerCountry: "DE",
      logLevel: "info",
      release: { version, commit: null, digest: null },
    });
  });
  test("an empty variable counts as not set", () => {
    const names = ["HOST", "PORT", "DATABASE_CONNECTIONS", "SELLER_COUNTRY", "LOG_LEVEL", "APP_VERSION", "APP_COMMIT"];
    const empty = Object.fromEntries([...names, "IMAGE_DIGEST", "SCHLEUSE_DIGEST"].map((name) => [name, ""]));
    assert.deepEqual(read(empty), read({}));
    assert.match(mistakes({ ...empty, DATABASE_URL: "" }), /^DATABASE_URL is missing/);
  });
  test("each is read", () => {
    const env = { HOST: "::1", PORT: "0", DATABASE_CONNECTIONS: "100", SELLER_COUNTRY: "GR", LOG_LEVEL: "silent" };
    const release = { APP_VERSION: "1.2.3-rc.1", APP_COMMIT: "abc", IMAGE_DIGEST: "sha256:1" };
    assert.deepEqual(read({ ...env, ...release }), {
      host: "::1",
      port: 0,
      databaseUrl: DATABASE_URL,
      databaseConnections: 100,
      sellerCountry: "GR",
      logLevel: "silent",
      release: { version: "1.2.3-rc.1", commit: "abc", digest: "sha256:1" },
    });
  });
  test("the digest has two names; the image's own goes first", () => {
    assert.equal(read({ SCHLEUSE_DIGEST: "sha256:2" }).release.digest, "sha256:2");
    assert.equal(read({ SCHLEUSE_DIGEST: "sha256:2", IMAGE_DIGEST: "sha256:1" }).release.digest, "sha256:1");
    assert.equal(read({ SCHLEUSE_DIGEST: "sha256:2", IMAGE_DIGEST: "" }).release.digest, "sha256:2");
  });
  test("numbers are whole, and within their bounds", () => {
    for (const [name, good, bad] of [
      ["PORT", ["0", "1", "65535"], ["65536", "-1", "80.5", "8e3", "0x50", " 80", "80 ", "eighty", "1000000", "NaN", "٨٠"]],
      ["DATABASE_CONNECTIONS", ["1", "100"], ["0", "101", "-1", "", "ten", "1.5"].filter(Boolean)],
    ]) {
      for (const value of good) assert.doesNotThrow(() => read({ [name]: value }), value);
      for (const value of bad) assert.match(mistakes({ DATABASE_URL, [name]: value }), new RegExp(`^${name} must be`), value);
    }
  });
  test("the seller is in the EU, and the level is one", () => {
    for (const SELLER_COUNTRY of ["de", "CH", "GB", "EL", "DEU", "__proto__"]) {
      assert.match(mistakes({ DATABASE_URL, SELLER_COUNTRY }), /^SELLER_COUNTRY/);
    }
    for (const LOG_LEVEL of ["INFO", "verbose", "10", "info\n"])
      assert.match(mistakes({ DATABASE_URL, LOG_LEVEL }), /^LOG_LEVEL/);
  });
  test("every mistake is named at once", () => {
    const env = { PORT: "x", DATABASE_CONNECTIONS: "x", SELLER_COUNTRY: "x", LOG_LEVEL: "x" };
    for (const name of ["DATABASE_URL", ...Object.keys(env)]) assert.match(mistakes(env), new RegExp(`(^|; )${name} `));
    assert.equal(mistakes(env).split("; ").length, 5);
  });
  test("the database's address is one that the driver can use, and is not repeated when it is not", () => {
    for (const address of [
      DATABASE_URL,
      "postgresql://billing@db/billing",
      "postgres://billing:p%40ss%3Aword@[::1]:5433/billing?sslmode=disable",
      "postgres://db/billing",
    ]) {
      assert.equal(read({ DATABASE_URL: address }).databaseUrl, address);
    }
    for (const address of [
      "mysql://billing:secret@db/billing",
      "http://billing:secret@db",
      "billing:secret@db/billing",
      "db",
      "://secret",
      "postgres://billing:secret@db:99999/billing",
      "postgres://billing:secret@[::1/billing",
      "postgres://billing:secret@/billing",
      "postgres://billing:secret%zz@db/billing",
      // Not UTF-8: the driver would find out with the first query.
      "postgres://billing:secret%ff@db/billing",
      "postgres://secret%ff@db/billing",
    ]) {
      const message = mistakes({ DATABASE_URL: address, PORT: "x" });
      assert.match(message, /DATABASE_URL/, address);
      assert.doesNotMatch(message, /secret/, address);
    }
  });
});
