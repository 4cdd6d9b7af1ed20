// VAT, and invoices that were computed by hand.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { Big } from "../../dist/domain/decimal.js";
import { invoiceOf, periodsOf } from "../../dist/domain/invoice.js";
import { FIRST_MONTH, isEu, taxOf, vatIdOf } from "../../dist/domain/vat.js";

const RULES = readFileSync(new URL("../../RULES.md", import.meta.url), "utf8");
const big = (text) => new Big(text);
const shown = ({ treatment, country, rate }) => `${treatment} ${country} ${rate.toFixed()}`;
const dayBefore = (date) => new Date(Date.parse(date) - 86_400_000).toISOString().slice(0, 10);

describe("VAT", () => {
  // `EE 22 (24 from 2025-07-01)`, as RULES.md has them.
  const [, list] = /Standard rates, in percent, from 2024-01-01:\s+(.+?)\. Earlier/s.exec(RULES);
  const rates = [...list.matchAll(/([A-Z]{2}) ([\d.]+)(?: \(([\d.]+) from (\d{4}-\d\d-\d\d)\))?/g)];

  test("the standard rates are those of RULES.md, on the day on which they change and on the day before", () => {
    assert.equal(rates.length, 27);
    assert.equal(rates.filter(([, , , changed]) => changed).length, 4);
    for (const [, country, rate, changed, from] of rates) {
      const on = (date, seller = "XX") => shown(taxOf(seller, { country }, date));
      assert.equal(on("2024-01-01"), `standard ${country} ${rate}`);
      assert.equal(on("2099-12-31"), `standard ${country} ${changed ?? rate}`);
      if (changed)
        assert.deepEqual([on(dayBefore(from)), on(from)], [`standard ${country} ${rate}`, `standard ${country} ${changed}`]);
    }
    assert.equal(FIRST_MONTH, "2024-01");
  });
  test("who is taxed where", () => {
    for (const [seller, country, vat_id, expected] of [
      ["DE", "DE", undefined, "standard DE 19"],
      ["DE", "DE", "DE123456789", "standard DE 19"],
      ["DE", "FR", undefined, "standard FR 20"],
      ["DE", "FR", "FR12345678901", "reverse_charge FR 0"],
      ["DE", "GR", "EL123456789", "reverse_charge GR 0"],
      ["DE", "CH", undefined, "outside_scope CH 0"],
      ["DE", "CH", "CHE123456789", "outside_scope CH 0"],
      ["DE", "GB", "GB123456789", "outside_scope GB 0"],
      ["AT", "DE", "DE123456789", "reverse_charge DE 0"],
      ["AT", "AT", "ATU12345678", "standard AT 20"],
      ["GR", "GR", undefined, "standard GR 24"],
    ]) {
      const customer = { country, ...(vat_id && { vat_id }) };
      assert.equal(shown(taxOf(seller, customer, "2024-06-30")), expected, `${seller} ${country} ${vat_id}`);
    }
    assert.ok(rates.every(([, country]) => isEu(country)));
    for (const country of ["GB", "CH", "NO", "EL", "XI", "MC", "US", "", "de", "__proto__"])
      assert.equal(isEu(country), false, country);
  });
  test("numbers: without spaces, dots and hyphens, in capitals, and of the customer's country", () => {
    for (const [country, text, number] of [
      ["DE", "DE123456789", "DE123456789"],
      ["DE", " de 123.456-789 ", "DE123456789"],
      ["DE", "ＤＥ１２３４５６７８９", "DE123456789"],
      ["DE", "DE\u00a0123456789", "DE123456789"],
      ["GR", "EL123456789", "EL123456789"],
      ["GR", "GR123456789", undefined],
      ["AT", "ATU12345678", "ATU12345678"],
      ["IE", "IE1A23456A", "IE1A23456A"],
      ["IE", "IE1+23456A", "IE1+23456A"],
      ["NL", "NL123456789B01", "NL123456789B01"],
      ["FR", "DE123456789", undefined],
      ["DE", "123456789", undefined],
      ["DE", "DE", undefined],
      ["DE", "DE1", undefined],
      ["DE", "DE1234567890123", undefined],
      ["DE", "DE12345678é", undefined],
      ["DE", "\ud800", undefined],
      ["CH", "CHE-123.456.788 MWST", "CHE123456788MWST"],
      ["US", "anything", "ANYTHING"],
      ["US", " .-", undefined],
      ["US", "\ud800", undefined],
    ]) {
      assert.equal(vatIdOf(country, text), number, `${country} ${text}`);
    }
  });
});

const customer = { id: "acme", name: "Acme", country: "DE", time_zone: "Europe/Berlin", currency: "EUR" };
const flat = { kind: "flat", id: "base", name: "Base", currency: "EUR", fee: "29.90" };
const traffic = { ...flat, kind: "per_unit", id: "gb", name: "Traffic", metric: "traffic", unit: "GB", unit_price: "0.019" };
/** An invoice of these subscriptions; `used` says how much of each one's metric, by its place in the order of the ids. */
function invoice(month, subscriptions, used = {}, changes = {}, unbilled = [], seller = "DE") {
  const who = { ...customer, ...changes };
  const inPeriod = new Map(Object.entries(used).map(([at, quantity]) => [Number(at), big(quantity)]));
  return invoiceOf(seller, who, month, periodsOf(who, month, subscriptions), { inPeriod, unbilled });
}
const brief = ({ lines, net, tax, total }) => [
  lines.map(({ subscription, kind, amount }) => `${subscription} ${kind} ${amount}`),
  net,
  `${tax.treatment} ${tax.rate} ${tax.amount}`,
  total,
];

describe("periods", () => {
  const dates = (month, from, until) =>
    periodsOf(customer, month, [{ id: "s", plan: flat, from, ...(until && { until }) }]).map(({ days, span }) => [
      days,
      new Date(span.start).toISOString(),
      new Date(span.end).toISOString(),
    ]);
  test("are the part of the month on which a subscription runs, if any", () => {
    const whole = [31, "2025-02-28T23:00:00.000Z", "2025-03-31T22:00:00.000Z"];
    assert.deepEqual(dates("2025-03", "2024-01-01"), [whole]);
    assert.deepEqual(dates("2025-03", "2025-03-01", "2025-04-01"), [whole]);
    assert.deepEqual(dates("2025-03", "2025-03-10"), [[22, "2025-03-09T23:00:00.000Z", "2025-03-31T22:00:00.000Z"]]);
    assert.deepEqual(dates("2025-03", "2025-03-10", "2025-03-11"), [[1, "2025-03-09T23:00:00.000Z", "2025-03-10T23:00:00.000Z"]]);
    assert.deepEqual(dates("2025-03", "2025-03-30", "2025-03-31"), [[1, "2025-03-29T23:00:00.000Z", "2025-03-30T22:00:00.000Z"]]);
    assert.deepEqual(dates("2025-03", "2025-03-31"), [[1, "2025-03-30T22:00:00.000Z", "2025-03-31T22:00:00.000Z"]]);
    for (const [from, until] of [["2025-04-01"], ["2024-01-01", "2025-03-01"], ["2025-05-01", "2025-06-01"]]) {
      assert.deepEqual(dates("2025-03", from, until), [], `${from} ${until}`);
    }
  });
  test("stand in the byte order of the ids", () => {
    const ids = ["b", "a1", "a-b", "a", "10", "9", "ab"];
    const periods = periodsOf(
      customer,
      "2025-03",
      ids.map((id) => ({ id, plan: flat, from: "2025-01-01" })),
    );
    assert.deepEqual(
      periods.map(({ subscription }) => subscription.id),
      ["10", "9", "a", "a-b", "a1", "ab", "b"],
    );
  });
});

describe("invoices", () => {
  test("a fee for a part of the month, usage, 19 percent", () => {
    // 29.90 × 22 ÷ 31 = 21.2193…; 1234.5 GB × 0.019 = 23.4555; 44.68 × 0.19 = 8.4892.
    const got = invoice("2025-03", [{ id: "s", plan: traffic, from: "2025-03-10" }], { 0: "1234500000000" });
    assert.deepEqual(got, {
      customer: "acme",
      month: "2025-03",
      currency: "EUR",
      lines: [
        { subscription: "s", kind: "fee", description: "Traffic, 22 of 31 days", amount: "21.22" },
        { subscription: "s", kind: "usage", description: "Traffic, traffic", amount: "23.46" },
      ],
      net: "44.68",
      tax: { treatment: "standard", country: "DE", rate: "19", amount: "8.49" },
      total: "53.17",
      unbilled: [],
    });
  });
  test("lines are rounded, then added; the tax is of their sum, its half cent up", () => {
    // Three times 10.00 × 1 ÷ 30 = 0.33; 0.99 × 0.25 = 0.2475. And 2.50 × 0.19 = 0.475, 0.50 × 0.25 = 0.125.
    const thirds = ["a", "b", "c"].map((id) => ({ id, plan: { ...flat, fee: "10" }, from: "2025-04-01", until: "2025-04-02" }));
    assert.deepEqual(brief(invoice("2025-04", thirds, {}, { country: "DK" })), [
      ["a fee 0.33", "b fee 0.33", "c fee 0.33"],
      "0.99",
      "standard 25 0.25",
      "1.24",
    ]);
    const one = (fee) => [{ id: "s", plan: { ...flat, fee }, from: "2025-01-01" }];
    assert.deepEqual(brief(invoice("2025-04", one("2.50"))), [["s fee 2.50"], "2.50", "standard 19 0.48", "2.98"]);
    assert.deepEqual(brief(invoice("2025-04", one("0.50"), {}, { country: "SE" })), [
      ["s fee 0.50"],
      "0.50",
      "standard 25 0.13",
      "0.63",
    ]);
    assert.deepEqual(brief(invoice("2025-04", one("1.00"), {}, { country: "FI" })), [
      ["s fee 1.00"],
      "1.00",
      "standard 25.5 0.26",
      "1.26",
    ]);
  });
  test("currencies with no minor units, and with three", () => {
    // 1000 × 15 ÷ 30 = 500; 7 × 0.5 = 3.5 → 4; 504 × 0.
    const yen = { ...traffic, currency: "JPY", fee: "1000", unit: "count", metric: "calls", unit_price: "0.5" };
    const june = [{ id: "s", plan: yen, from: "2025-06-16" }];
    assert.deepEqual(brief(invoice("2025-06", june, { 0: "7" }, { currency: "JPY", country: "JP" })), [
      ["s fee 500", "s usage 4"],
      "504",
      "outside_scope 0 0",
      "504",
    ]);
    // 1.250 × 1 ÷ 31 = 0.0403…; 0.040 × 0.19 = 0.0076.
    const dinar = [{ id: "s", plan: { ...flat, currency: "KWD", fee: "1.25" }, from: "2025-03-31" }];
    assert.deepEqual(brief(invoice("2025-03", dinar, {}, { currency: "KWD" })), [
      ["s fee 0.040"],
      "0.040",
      "standard 19 0.008",
      "0.048",
    ]);
  });
  test("reverse charge says so; the rate is that of the last day of the month", () => {
    const month = (when, changes) => invoice(when, [{ id: "s", plan: { ...flat, fee: "100" }, from: "2025-01-01" }], {}, changes);
    const reverse = month("2025-04", { country: "FR", vat_id: "FR12345678901" });
    assert.equal(reverse.tax.note, "Reverse charge: Directive 2006/112/EC, Article 196");
    assert.deepEqual([reverse.tax.amount, reverse.total], ["0.00", "100.00"]);
    assert.deepEqual(month("2025-06", { country: "EE" }).tax, {
      treatment: "standard",
      country: "EE",
      rate: "22",
      amount: "22.00",
    });
    assert.deepEqual(month("2025-07", { country: "EE" }).tax, {
      treatment: "standard",
      country: "EE",
      rate: "24",
      amount: "24.00",
    });
  });
  test("what rounds to zero has its line; what is zero has none", () => {
    const s = (plan) => [{ id: "s", plan, from: "2025-01-01" }];
    assert.deepEqual(brief(invoice("2025-04", s({ ...traffic, fee: "0" }), { 0: "0.000000001" }))[0], ["s usage 0.00"]);
    assert.deepEqual(brief(invoice("2025-04", s({ ...traffic, fee: "0" }), { 0: "0" }))[0], []);
    assert.deepEqual(brief(invoice("2025-04", s({ ...traffic, fee: "0" }))), [[], "0.00", "standard 19 0.00", "0.00"]);
    assert.deepEqual(brief(invoice("2025-04", s({ ...traffic, unit_price: "0" }), { 0: "5" }))[0], [
      "s fee 29.90",
      "s usage 0.00",
    ]);
    const oneDay = [{ id: "s", plan: { ...flat, fee: "0.01" }, from: "2025-04-30" }];
    assert.deepEqual(brief(invoice("2025-04", oneDay))[0], ["s fee 0.00"]);
    assert.deepEqual(brief(invoice("2025-04", []))[0], []);
  });
  test("several subscriptions: of each the fee, then the usage; tier limits are not prorated", () => {
    const tiers = [{ up_to: "100", unit_price: "0.10" }, { unit_price: "0.08" }];
    const tiered = { ...traffic, kind: "tiered", fee: "30", mode: "graduated", tiers };
    const subscriptions = [
      { id: "z", plan: { ...traffic, metric: "storage", fee: "0" }, from: "2025-01-01" },
      { id: "a2", plan: tiered, from: "2025-04-16" },
      { id: "a1", plan: tiered, from: "2025-01-01", until: "2025-04-16" },
    ];
    // 150 GB: 100 × 0.10 + 50 × 0.08 = 14. 100 GB: 10.
    const used = { 0: "150000000000", 1: "100000000000", 2: "1000000000000" };
    assert.deepEqual(brief(invoice("2025-04", subscriptions, used))[0], [
      "a1 fee 15.00",
      "a1 usage 14.00",
      "a2 fee 15.00",
      "a2 usage 10.00",
      "z usage 19.00",
    ]);
  });
  test("what no subscription covers is listed, not billed", () => {
    const unbilled = [{ metric: "traffic", unit: "B", quantity: big("1.500") }];
    const got = invoice("2025-04", [], {}, {}, unbilled);
    assert.deepEqual([got.unbilled, got.total], [[{ metric: "traffic", quantity: "1.5", unit: "B" }], "0.00"]);
  });
  test("the largest numbers that are let in", () => {
    // (10¹⁸ − 10⁻⁹) × (10¹² − 10⁻⁹), exactly, then 19 percent of it.
    const plan = { ...traffic, unit: "B", fee: "999999999999.99", unit_price: "999999999999.999999999" };
    const got = invoice("2025-04", [{ id: "s", plan, from: "2025-01-01" }], { 0: "999999999999999999.999999999" });
    const exact = (10n ** 27n - 1n) * (10n ** 21n - 1n); // × 10⁻¹⁸
    const cents = (exact + 5n * 10n ** 15n) / 10n ** 16n;
    const net = cents + 99_999_999_999_999n;
    const tax = (net * 19n + 50n) / 100n;
    const text = (it) => String(it).replace(/(\d\d)$/, ".$1");
    assert.deepEqual([got.lines[1].amount, got.net, got.tax.amount, got.total], [cents, net, tax, net + tax].map(text));
  });
});
