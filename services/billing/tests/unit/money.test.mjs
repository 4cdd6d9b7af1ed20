// Decimals, currencies, units: exact, rounded once, half away from zero. The oracle is BigInt arithmetic.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import fc from "fast-check";
import { CURRENCIES, currencyOf, formatMoney, minorUnits, roundMoney } from "../../dist/domain/currency.js";
import { Big, decimalsOf, divide, plain, sum, wholeDigitsOf } from "../../dist/domain/decimal.js";
import { unitOf } from "../../dist/domain/units.js";

const RULES = readFileSync(new URL("../../RULES.md", import.meta.url), "utf8");
const big = (text) => new Big(text);
const abs = (it) => (it < 0n ? -it : it);

/** `units × 10^-scale` as text. */
function decimal(units, scale) {
  const digits = abs(units)
    .toString()
    .padStart(scale + 1, "0");
  const at = digits.length - scale;
  return `${units < 0n ? "-" : ""}${digits.slice(0, at)}${scale > 0 ? `.${digits.slice(at)}` : ""}`;
}

/** `a × 10^-p ÷ (b × 10^-q)` in units of `10^-decimals`, half away from zero. */
function quotient(a, p, b, q, decimals) {
  const [over, under] = [abs(a) * 10n ** BigInt(q + decimals), abs(b) * 10n ** BigInt(p)];
  const rounded = (2n * over + under) / (2n * under);
  return a < 0n !== b < 0n ? -rounded : rounded;
}

describe("division", () => {
  test("exact halves go away from zero, whichever digit is before them", () => {
    const halves = [
      ["0.5", 0, "1"],
      ["1.5", 0, "2"],
      ["2.5", 0, "3"],
      ["-0.5", 0, "-1"],
      ["-2.5", 0, "-3"],
      ["0.005", 2, "0.01"],
      ["0.015", 2, "0.02"],
      ["0.025", 2, "0.03"],
      ["-0.025", 2, "-0.03"],
      ["1.0005", 3, "1.001"],
      ["1.0015", 3, "1.002"],
      ["9.995", 2, "10.00"],
      ["999999999999999999.5", 0, "1000000000000000000"],
    ];
    for (const [value, decimals, rounded] of halves)
      assert.equal(divide(big(value), big("1"), decimals).toFixed(decimals), rounded);
    assert.equal(divide(big("1"), big("8"), 2).toFixed(2), "0.13");
    assert.equal(divide(big("3"), big("8"), 2).toFixed(2), "0.38");
  });
  test("what is a little less than a half goes down, however little: it is rounded once", () => {
    const almost = `0.4${"9".repeat(60)}`;
    assert.equal(plain(divide(big(almost), big("1"), 0)), "0");
    assert.equal(plain(divide(big("0.4949"), big("1"), 1)), "0.5");
    assert.equal(plain(divide(big("0.4449"), big("1"), 1)), "0.4");
    // A third of a cent less than half a cent: the quotient has no end.
    assert.equal(plain(divide(big("0.014999999999999999999"), big("3"), 2)), "0");
    assert.equal(plain(divide(big("0.015"), big("3"), 2)), "0.01");
  });
  test("any numbers, 0 to 3 places: as integers do it", () => {
    const units = fc.bigInt({ min: -(10n ** 60n), max: 10n ** 60n });
    const divisor = fc.bigInt({ min: 1n, max: 10n ** 30n });
    const scale = fc.integer({ min: 0, max: 18 });
    fc.assert(
      fc.property(units, scale, divisor, scale, fc.constantFrom(0, 2, 3), (a, p, b, q, decimals) => {
        const got = divide(big(decimal(a, p)), big(decimal(b, q)), decimals);
        assert.equal(got.toFixed(decimals).replace(/^-(?=0(\.0*)?$)/, ""), decimal(quotient(a, p, b, q, decimals), decimals));
      }),
      { numRuns: 1500 },
    );
  });
  test("every exact half, of any size and divisor", () => {
    const whole = fc.bigInt({ min: 0n, max: 10n ** 40n });
    fc.assert(
      fc.property(whole, fc.bigInt({ min: 1n, max: 10n ** 15n }), fc.constantFrom(0, 2, 3), (k, divisor, decimals) => {
        // (k + ½) units times the divisor.
        const dividend = decimal((2n * k + 1n) * divisor * 5n, decimals + 1);
        assert.equal(divide(big(dividend), big(String(divisor)), decimals).toFixed(decimals), decimal(k + 1n, decimals));
      }),
      { numRuns: 500 },
    );
  });
  test("one precision does not leak into another", () => {
    for (const decimals of [3, 0, 2, 3, 0]) {
      assert.equal(divide(big("2"), big("3"), decimals).toFixed(decimals), decimal(quotient(2n, 0, 3n, 0, decimals), decimals));
    }
    assert.equal(plain(big("0.1").times("0.000000001").plus("1e21")), "1000000000000000000000.0000000001");
  });
});

describe("decimals", () => {
  test("binary fractions do not become money", () => {
    assert.throws(() => new Big(0.1));
    assert.throws(() => big("1").times(2));
  });
  test("written without exponent and needless zeros", () => {
    for (const [value, text] of [
      ["1e30", `1${"0".repeat(30)}`],
      ["1e-30", `0.${"0".repeat(29)}1`],
      ["0.00", "0"],
      ["0012.3400", "12.34"],
    ]) {
      assert.equal(plain(big(value)), text);
    }
  });
  test("digits are counted as written", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 10n ** 30n }), fc.integer({ min: 0, max: 20 }), (units, scale) => {
        const text = decimal(units, scale);
        const [whole, fraction = ""] = text.split(".");
        assert.equal(decimalsOf(big(text)), fraction.replace(/0+$/, "").length, text);
        assert.equal(wholeDigitsOf(big(text)), whole.replace(/^0+(?=\d)/, "").length, text);
      }),
      { numRuns: 500 },
    );
  });
  test("sums are exact: the largest and the smallest quantities together, and none at all", () => {
    assert.equal(plain(sum([big("999999999999999999"), big("0.000000001"), big("0.000000009")])), "999999999999999999.00000001");
    assert.equal(plain(sum([])), "0");
    assert.equal(plain(sum(Array.from({ length: 1000 }, () => big("0.1")))), "100");
  });
});

describe("currencies", () => {
  const table = [...RULES.matchAll(/^\| ([023]) \| ([A-Z ]+) \|$/gm)].flatMap(([, digits, codes]) =>
    codes.split(" ").map((code) => [code, Number(digits)]),
  );
  test("are those of RULES.md, with their minor units", () => {
    assert.ok(table.length > 20);
    assert.deepEqual(Object.fromEntries(CURRENCIES.map((code) => [code, minorUnits(code)])), Object.fromEntries(table.sort()));
    assert.throws(() => minorUnits("XXX"));
  });
  test("an amount is written with exactly as many digits", () => {
    for (const [code, digits] of table) {
      assert.equal(formatMoney(code, big("12")), digits === 0 ? "12" : `12.${"0".repeat(digits)}`);
      const smallest = decimal(1n, digits);
      const half = decimal(5n, digits + 1);
      assert.equal(formatMoney(code, roundMoney(code, big(half))), smallest, code);
      assert.equal(formatMoney(code, roundMoney(code, big(half).minus("0.00000000000000000001"))), decimal(0n, digits), code);
      assert.equal(
        formatMoney(code, roundMoney(code, big("7"), big("3"))),
        decimal(quotient(7n, 0, 3n, 0, digits), digits),
        code,
      );
    }
  });
  test("codes in any case and the two symbols that name one currency; nothing else", () => {
    for (const [text, code] of [
      ["EUR", "EUR"],
      ["eur", "EUR"],
      ["jPy", "JPY"],
      ["€", "EUR"],
      ["£", "GBP"],
    ]) {
      assert.equal(currencyOf(text), code);
    }
    for (const text of ["$", "¥", "kr", "", " ", "EURO", "EU", "XXX", "RSD", "constructor", "__proto__", "€€", "EUR "]) {
      assert.equal(currencyOf(text), undefined, text);
    }
  });
});

describe("units", () => {
  const UNITS = {
    B: { B: "1", kB: "1000", MB: "1000000", GB: "1000000000", TB: "1000000000000" },
    "B ": { KiB: 2n ** 10n, MiB: 2n ** 20n, GiB: 2n ** 30n, TiB: 2n ** 40n },
    s: { ms: "0.001", s: "1", min: "60", h: "3600", d: "86400" },
    count: { count: "1", thousand: "1000", million: "1000000" },
  };
  const all = Object.entries(UNITS).flatMap(([canonical, units]) =>
    Object.entries(units).map(([name, factor]) => [name, canonical.trim(), String(factor)]),
  );
  const shown = (unit) => unit && [unit.canonical, plain(unit.factor)];

  test("each by its name, all in lower case, all in upper case, with blanks around it", () => {
    for (const [name, canonical, factor] of all) {
      for (const spelling of [name, name.toLowerCase(), name.toUpperCase(), ` ${name}\u00a0`]) {
        if (spelling !== "b") assert.deepEqual(shown(unitOf(spelling)), [canonical, factor], spelling);
      }
    }
  });
  test("by their long names, one and many", () => {
    const long = { byte: "B", millisecond: "ms", second: "s", minute: "min", hour: "h", day: "d", request: "count" };
    for (const [word, short] of Object.entries(long)) {
      for (const spelling of [word, `${word}s`]) assert.deepEqual(shown(unitOf(spelling)), shown(unitOf(short)), spelling);
    }
  });
  test("money: each currency is a unit of its own", () => {
    for (const code of CURRENCIES) assert.deepEqual(shown(unitOf(code)), [code, "1"]);
    assert.deepEqual(
      [shown(unitOf("€")), shown(unitOf("£"))],
      [
        ["EUR", "1"],
        ["GBP", "1"],
      ],
    );
  });
  test("what may be bits, or is no unit, is none", () => {
    // The same letters in another case than small, large or the unit's own.
    const mixed = all.flatMap(([name]) =>
      [...name].map((_, at) => name.slice(0, at) + name[at].toUpperCase() + name.slice(at + 1).toLowerCase()),
    );
    const known = new Set(all.flatMap(([name]) => [name, name.toLowerCase(), name.toUpperCase()]).filter((name) => name !== "b"));
    const strange = mixed.filter((spelling) => !known.has(spelling));
    assert.ok(strange.includes("Mb") && strange.includes("Gb") && strange.includes("Kib"));
    const never = [
      "b",
      "bit",
      "Mbit",
      "",
      " ",
      "$",
      "¥",
      "Kb",
      "M",
      "k",
      "m",
      "GBs",
      "requestss",
      "GB/s",
      "constructor",
      "__proto__",
    ];
    for (const spelling of [...strange, ...never]) assert.equal(unitOf(spelling), undefined, spelling);
  });
});
