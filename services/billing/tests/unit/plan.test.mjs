// Plans: what is wrong with terms, and what usage costs by them, with the limits hit exactly.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { Big, plain } from "../../dist/domain/decimal.js";
import { faultsOf, metricOf, requireUnit, usagePrice } from "../../dist/domain/plan.js";

const big = (text) => new Big(text);
const flat = { kind: "flat", name: "Base", currency: "EUR", fee: "10" };
const perUnit = { ...flat, kind: "per_unit", metric: "traffic", unit: "GB", unit_price: "0.019" };
const tiered = (mode, tiers, changes = {}) => ({
  ...flat,
  kind: "tiered",
  metric: "traffic",
  unit: "B",
  mode,
  tiers,
  ...changes,
});
const STEPS = [{ up_to: "10", unit_price: "3" }, { up_to: "20", unit_price: "2" }, { unit_price: "1" }];

/** The exact cost; every case here divides without remainder. */
const cost = (terms, used) => {
  const { dividend, divisor } = usagePrice(terms, big(used));
  return plain(dividend.div(divisor));
};

describe("terms that make no sense", () => {
  test("a fee has at most the currency's minor units", () => {
    for (const [currency, fee, faults] of [
      ["EUR", "29.90", 0],
      ["EUR", "29.900", 0],
      ["EUR", "29.901", 1],
      ["JPY", "100", 0],
      ["JPY", "100.0", 0],
      ["JPY", "100.5", 1],
      ["KWD", "1.001", 0],
      ["EUR", "0", 0],
      ["EUR", "999999999999.99", 0],
    ]) {
      assert.equal(faultsOf({ ...flat, currency, fee }).length, faults, `${fee} ${currency}`);
    }
  });
  test("the unit is known, and money is billed in itself", () => {
    assert.deepEqual(faultsOf(perUnit), []);
    assert.match(faultsOf({ ...perUnit, unit: "Mb" }).join(), /unit `Mb`/);
    assert.deepEqual(faultsOf({ ...perUnit, unit: "EUR" }), []);
    assert.deepEqual(faultsOf({ ...perUnit, unit: "€" }), []);
    assert.match(faultsOf({ ...perUnit, unit: "USD" }).join(), /USD cannot be billed in EUR/);
    for (const unit of ["B", "s", "count", "ms", "million"]) assert.deepEqual(faultsOf({ ...perUnit, unit }), []);
  });
  test("tiers rise, all but the last have a limit, and the last has none", () => {
    const tiersOf = (...limits) => limits.map((up_to) => ({ ...(up_to !== undefined && { up_to }), unit_price: "1" }));
    for (const mode of ["graduated", "volume"]) {
      for (const limits of [[undefined], ["1", undefined], ["0.000000001", "0.000000002", undefined], ["9", "10", undefined]]) {
        assert.deepEqual(faultsOf(tiered(mode, tiersOf(...limits))), [], limits.join());
      }
      for (const limits of [
        ["1"],
        ["1", "2"],
        [undefined, undefined],
        [undefined, "2", undefined],
        ["2", "2", undefined],
        ["2", "2.0", undefined],
        ["10", "9", undefined],
        ["1", undefined, "3", undefined],
        ["0", undefined],
      ]) {
        assert.match(faultsOf(tiered(mode, tiersOf(...limits))).join(), /tiers/, limits.join());
      }
    }
  });
  test("every fault is named", () => {
    const terms = tiered("volume", [{ up_to: "1", unit_price: "1" }], { fee: "0.001", unit: "lightyears" });
    assert.equal(faultsOf(terms).length, 3);
  });
  test("only flat plans have no metric", () => {
    assert.deepEqual([metricOf(flat), metricOf(perUnit), metricOf(tiered("volume", STEPS))], [undefined, "traffic", "traffic"]);
    assert.equal(usagePrice(flat, big("5")), undefined);
    assert.throws(() => requireUnit("lightyears"));
  });
});

describe("what usage costs", () => {
  test("per unit: the price is of the plan's unit, usage comes in canonical ones", () => {
    assert.equal(cost(perUnit, "1000000000"), "0.019");
    assert.equal(cost(perUnit, "1"), "0.000000000019");
    assert.equal(cost({ ...perUnit, unit: "KiB", unit_price: "1" }, "1536"), "1.5");
    assert.equal(cost({ ...perUnit, unit: "ms", unit_price: "2" }, "0.003"), "6");
    assert.equal(cost(perUnit, "0"), "0");
  });
  test("graduated: each part at its tier's price; a limit belongs to the tier below it", () => {
    for (const [used, price] of [
      ["0", "0"],
      ["9.999999999", "29.999999997"],
      ["10", "30"],
      ["10.000000001", "30.000000002"],
      ["11", "32"],
      ["20", "50"],
      ["20.000000001", "50.000000001"],
      ["21", "51"],
      ["999999999999999999", "1000000000000000029"],
    ]) {
      assert.equal(cost(tiered("graduated", STEPS), used), price, used);
    }
  });
  test("volume: all of it at the price of the first tier that it does not exceed", () => {
    for (const [used, price] of [
      ["0", "0"],
      ["10", "30"],
      ["10.000000001", "20.000000002"],
      ["20", "40"],
      ["20.000000001", "20.000000001"],
      ["21", "21"],
    ]) {
      assert.equal(cost(tiered("volume", STEPS), used), price, used);
    }
  });
  test("limits are per the plan's unit", () => {
    const gib = (mode) => tiered(mode, STEPS, { unit: "GiB" });
    const limit = String(10n * 2n ** 30n);
    assert.deepEqual([cost(gib("graduated"), limit), cost(gib("volume"), limit)], ["30", "30"]);
    const above = usagePrice(gib("volume"), big(limit).plus("1"));
    assert.equal(plain(above.dividend), String((10n * 2n ** 30n + 1n) * 2n));
    assert.equal(cost(tiered("graduated", STEPS, { unit: "ms" }), "0.011"), "32");
  });
  test("a tier may be free, and one tier is a price per unit", () => {
    const free = [{ up_to: "10", unit_price: "0" }, { unit_price: "1" }];
    assert.deepEqual(
      [cost(tiered("graduated", free), "10"), cost(tiered("graduated", free), "12"), cost(tiered("volume", free), "12")],
      ["0", "2", "12"],
    );
    for (const mode of ["graduated", "volume"]) {
      assert.equal(cost(tiered(mode, [{ unit_price: "0.019" }], { unit: "GB" }), "1500000000"), cost(perUnit, "1500000000"));
    }
  });
  test("any tiers, any usage, also exactly on a limit: as integers do it", () => {
    const limits = fc
      .uniqueArray(fc.bigInt({ min: 1n, max: 10n ** 6n }), { maxLength: 5 })
      .map((all) => all.sort((a, b) => Number(a - b)));
    const prices = fc.array(fc.bigInt({ min: 0n, max: 10n ** 12n }), { minLength: 6, maxLength: 6 });
    const nano = (units) => plain(big(String(units)).div("1000000000"));
    fc.assert(
      fc.property(
        limits,
        prices,
        fc.bigInt({ min: 0n, max: 2n * 10n ** 15n }),
        fc.nat(),
        fc.boolean(),
        (rise, price, any, at, exact) => {
          const tiers = [...rise, undefined].map((up_to, n) => ({
            ...(up_to !== undefined && { up_to: String(up_to) }),
            unit_price: nano(price[n]),
          }));
          // In billionths, as the prices.
          const bounds = rise.map((limit) => limit * 10n ** 9n);
          const used = exact && rise.length > 0 ? bounds[at % rise.length] : any;
          const graduated = price.slice(0, tiers.length).reduce((total, unit, n) => {
            const [from, to] = [n === 0 ? 0n : bounds[n - 1], bounds[n] ?? used];
            const within = (to < used ? to : used) - from;
            return total + (within > 0n ? within * unit : 0n);
          }, 0n);
          const reached = bounds.findIndex((limit) => used <= limit);
          const volume = used * price[reached < 0 ? tiers.length - 1 : reached];
          for (const [mode, expected] of Object.entries({ graduated, volume })) {
            const { dividend, divisor } = usagePrice(tiered(mode, tiers), big(nano(used)));
            assert.equal(plain(dividend.times("1000000000000000000")), String(expected), mode);
            assert.equal(plain(divisor), "1");
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});
