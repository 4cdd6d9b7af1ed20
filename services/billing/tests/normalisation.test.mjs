// Normalisation: whatever way usage is written, one canonical record comes of it; what has two readings is refused. The examples go
// through the running service; the properties try many more on the same code.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { normalise } from "../dist/domain/usage.js";
import { baseUrl, clientOf, insistentClientOf } from "./support/client.mjs";

const base = { key: "k", customer: "norm-acme", metric: "norm-traffic", quantity: "1", unit: "GB", at: "2025-03-30T00:30:00Z" };
const api = insistentClientOf(baseUrl());
const call = clientOf(baseUrl());

const NBSP = "\u00a0";
const NNBSP = "\u202f";
/** Field by field: notations of one value, and that value. */
const SAME = {
  quantity: [
    [
      "1234500000000",
      [
        "1234.5",
        "1234,5",
        "1.234,5",
        "1,234.5",
        "1 234,5",
        `1${NBSP}234,5`,
        `1${NNBSP}234,5`,
        "1'234.5",
        "1’234.5",
        "１２３４.５",
        " 1234.50 ",
      ],
    ],
    ["1234567000000000", ["1234567", "1.234.567", "1,234,567", "1 234 567", "1'234'567"]],
    ["750000000", ["0.75", "0,75", "0,750", "0.750"]],
  ],
  unit: [
    ["1000000000", ["GB", "gb", " GB ", "ＧＢ", "㎇"]],
    ["1073741824", ["GiB", "gib", "GIB"]],
    ["1", ["B", "byte", "bytes"]],
  ],
  at: [
    [
      "2025-03-30T00:30:00.000Z",
      ["2025-03-30T00:30:00Z", "2025-03-30t00:30:00z", "2025-03-30 01:30:00+01:00", "2025-03-29T19:30:00.0004-05:00"],
    ],
    // The hour that comes twice on the last Sunday of October in Berlin: with an offset there is no doubt.
    ["2025-10-26T00:30:00.000Z", ["2025-10-26T02:30:00+02:00"]],
    ["2025-10-26T01:30:00.000Z", ["2025-10-26T02:30:00+01:00"]],
  ],
};

/** Local times on days on which the clocks change, north and south; and the instant. */
const LOCAL = [
  ["2025-03-30T01:59:59", "Europe/Berlin", "2025-03-30T00:59:59.000Z"],
  ["2025-03-30T03:00:00", "Europe/Berlin", "2025-03-30T01:00:00.000Z"],
  ["2025-10-26T01:59:59", "Europe/Berlin", "2025-10-25T23:59:59.000Z"],
  ["2025-10-26T03:00:00", "Europe/Berlin", "2025-10-26T02:00:00.000Z"],
  ["2025-11-02T00:30:00", "America/New_York", "2025-11-02T04:30:00.000Z"],
  ["2025-04-06T01:59:59", "Australia/Sydney", "2025-04-05T14:59:59.000Z"],
  ["2025-10-05T03:00:00", "Australia/Sydney", "2025-10-04T16:00:00.000Z"],
  ["2025-04-06T02:00:00", "Australia/Lord_Howe", "2025-04-05T15:30:00.000Z"],
  ["2025-06-01T12:00:00", "Asia/Kolkata", "2025-06-01T06:30:00.000Z"],
  ["2025-06-01T00:00:00", "Pacific/Kiritimati", "2025-05-31T10:00:00.000Z"],
];

const REFUSED = {
  quantity: [
    "1,234",
    "12,345",
    "-1",
    "+1",
    "1e3",
    "",
    " ",
    "1.2.3,4,5",
    "0,123,456",
    "0.123.456",
    "012 345",
    "1 23",
    "1,23,456",
    "12 34,5",
    ".5",
    "1.",
    "1..2",
    "NaN",
    "½",
    "٣",
    "5 $",
    "¥5",
    "5 XYZ",
    "€5€",
    "9".repeat(28),
  ],
  unit: ["Mb", "Gb", "b", "kbit", "lightyears", "$", "¥", "Kb", "M", ""],
  at: [
    "2025-03-30",
    "2025-02-30T00:00:00Z",
    "2025-03-30T02:30:00",
    "yesterday",
    "2025-03-30T25:00:00Z",
    "1743294600",
    "1999-12-31T23:59:59Z",
  ],
};

const ok = (changes) => {
  const record = normalise({ ...base, ...changes });
  assert.ok(!Array.isArray(record), `${JSON.stringify(changes)} was refused: ${JSON.stringify(record)}`);
  return record;
};
const refused = (changes, field) => {
  const refusals = normalise({ ...base, ...changes });
  assert.ok(Array.isArray(refusals), `${JSON.stringify(changes)} was read as ${JSON.stringify(refusals)}`);
  assert.ok(
    refusals.some((refusal) => refusal.field === field),
    JSON.stringify(refusals),
  );
};

describe("one canonical record", () => {
  for (const [field, groups] of Object.entries(SAME)) {
    for (const [canonical, notations] of groups) {
      test(`${field}: ${notations.length} notations of ${canonical}`, () => {
        const got = field === "at" ? (text) => ok({ at: text }).at : (text) => ok({ [field]: text }).quantity;
        for (const notation of notations) assert.equal(got(notation), canonical, JSON.stringify(notation));
      });
    }
  }
  test("local times, also on days on which the clocks change", () => {
    for (const [at, time_zone, instant] of LOCAL) assert.equal(ok({ at, time_zone }).at, instant, `${at} ${time_zone}`);
  });
  test("currencies: code and symbol, before and after", () => {
    for (const quantity of ["12,50 €", "€12.50", "12,50€", "EUR 12,5", "12.5 eur", "12.50"]) {
      for (const unit of ["EUR", "eur", "€"]) {
        const { unit: currency, quantity: amount } = ok({ quantity, unit });
        assert.deepEqual([amount, currency], ["12.5", "EUR"], `${quantity} ${unit}`);
      }
    }
    refused({ quantity: "12 £", unit: "EUR" }, "quantity");
    refused({ quantity: "12 €", unit: "GB" }, "quantity");
  });
  test("number_format settles what is in doubt, and is believed", () => {
    assert.equal(ok({ quantity: "1,234", number_format: "comma", unit: "B" }).quantity, "1.234");
    assert.equal(ok({ quantity: "1,234", number_format: "point", unit: "B" }).quantity, "1234");
    assert.equal(ok({ quantity: "1.234", number_format: "comma", unit: "B" }).quantity, "1234");
    assert.equal(ok({ quantity: "1.234", unit: "B" }).quantity, "1.234");
    refused({ quantity: "1.23", number_format: "comma" }, "quantity");
  });
  test("what is written in two normal forms is the same key and metric", () => {
    const composed = ok({ key: "Überschuss", metric: "requêtes" });
    const decomposed = ok({ key: " Überschuss".normalize("NFD"), metric: "requêtes".normalize("NFD") });
    assert.deepEqual(decomposed, composed);
  });
  test("what has two readings, or none, is refused, and says which field", () => {
    for (const [field, notations] of Object.entries(REFUSED))
      for (const notation of notations) refused({ [field]: notation }, field);
    refused({ at: "2025-03-30T02:30:00", time_zone: "Europe/Berlin" }, "at"); // skipped
    refused({ at: "2025-10-26T02:30:00", time_zone: "Europe/Berlin" }, "at"); // comes twice
    refused({ at: "2025-03-30T01:30:00", time_zone: "+01:00" }, "at");
    refused({ at: "2025-03-30T01:30:00", time_zone: "Europe/Atlantis" }, "at");
    refused({ key: "\ud800" }, "key");
  });
});

describe("properties", () => {
  const digits = fc.tuple(fc.bigInt({ min: 0n, max: 10n ** 14n }), fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 9 }));
  const grouped = (whole, sign) => whole.toString().replace(/\B(?=(\d{3})+$)/g, sign);
  const trimmed = (whole, fraction) =>
    `${whole}${fraction.length ? `.${fraction.join("")}` : ""}`.replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");

  test("any number, any grouping, either decimal sign", () => {
    const notation = fc.constantFrom(
      ["", "."],
      [" ", ","],
      [NBSP, ","],
      [NNBSP, ","],
      ["'", "."],
      ["’", "."],
      [".", ","],
      [",", "."],
    );
    fc.assert(
      fc.property(digits, notation, fc.boolean(), ([whole, fraction], [group, decimal], wide) => {
        let text = grouped(whole, group) + (fraction.length ? decimal + fraction.join("") : "");
        if (wide) text = text.replace(/\d/g, (digit) => String.fromCharCode(digit.charCodeAt(0) + 0xfee0));
        const number_format = decimal === "," ? "comma" : "point";
        assert.equal(ok({ quantity: text, unit: "B", number_format }).quantity, trimmed(whole, fraction), text);
        // Without the format it is read the same, or refused as ambiguous; never otherwise.
        const free = normalise({ ...base, quantity: text, unit: "B" });
        const dotted = group === "." && fraction.length === 0 && whole >= 1000n && whole < 1_000_000n;
        if (!Array.isArray(free) && !dotted) assert.equal(free.quantity, trimmed(whole, fraction), text);
      }),
      { numRuns: 2000 },
    );
  });

  test("any instant, in any zone's local time, is that instant or in doubt", () => {
    const zones = [
      "Europe/Berlin",
      "America/New_York",
      "Australia/Lord_Howe",
      "Pacific/Apia",
      "Asia/Kathmandu",
      "Africa/Casablanca",
    ];
    const formatters = new Map(
      zones.map((zone) => [zone, new Intl.DateTimeFormat("sv-SE", { timeZone: zone, dateStyle: "short", timeStyle: "medium" })]),
    );
    fc.assert(
      fc.property(
        fc.integer({ min: Date.UTC(2024, 0) / 1000, max: Date.UTC(2027, 0) / 1000 }),
        fc.constantFrom(...zones),
        (second, zone) => {
          const instant = new Date(second * 1000);
          const read = normalise({ ...base, at: formatters.get(zone).format(instant), time_zone: zone });
          if (Array.isArray(read)) assert.match(read[0].detail, /comes twice/);
          else assert.equal(read.at, instant.toISOString());
        },
      ),
      { numRuns: 1000 },
    );
  });

  test("what comes out goes in again unchanged", () => {
    fc.assert(
      fc.property(digits, fc.constantFrom("B", "KiB", "GB", "ms", "h", "count", "million", "EUR"), ([whole, fraction], unit) => {
        const once = normalise({ ...base, quantity: trimmed(whole, fraction), unit });
        if (!Array.isArray(once)) assert.deepEqual(normalise(once), once);
      }),
      { numRuns: 1000 },
    );
  });

  test("nothing that is text makes it break", () => {
    const text = fc.oneof(fc.string({ unit: "binary" }), fc.stringMatching(/^[\d.,' €$+-]{0,20}$/));
    fc.assert(
      fc.property(text, text, text, text, (quantity, unit, at, time_zone) => {
        const read = normalise({ ...base, quantity, unit, at, time_zone });
        assert.ok(Array.isArray(read) ? read.length > 0 : /^\d+(\.\d+)?$/.test(read.quantity));
      }),
      { numRuns: 3000 },
    );
  });
});

describe("through the running service", () => {
  const customer = base.customer;
  const month = "2025-03";

  test("every notation is one record: it counts once", async () => {
    await api("PUT", "/api/plans/norm-plan", {
      kind: "per_unit",
      name: "Traffic",
      currency: "EUR",
      fee: "0",
      metric: base.metric,
      unit: "GB",
      unit_price: "0.01",
    });
    await api("PUT", `/api/customers/${customer}`, {
      name: "Normal",
      country: "DE",
      time_zone: "Europe/Berlin",
      currency: "EUR",
    });
    await api("PUT", `/api/customers/${customer}/subscriptions/s`, { plan: "norm-plan", from: "2025-01-01" });
    const notations = SAME.quantity[0][1].map((quantity) => ({ ...base, key: "once", quantity }));
    const [canonical, ...others] = (await api("POST", "/api/usage", notations)).items;
    for (const other of others) assert.deepEqual({ ...other, result: "" }, { ...canonical, result: "" });
    assert.ok(others.every(({ result }) => result === "duplicate"));
    const { unbilled, lines } = await api("GET", `/api/customers/${customer}/invoices/${month}/preview`);
    assert.deepEqual([unbilled, lines.map(({ amount }) => amount)], [[], ["12.35"]]);
  });

  // What a spreadsheet in another country writes: another charset, another separator, decimal commas.
  const rows = [
    "key;customer;metric;quantity;unit;at;time_zone;number_format",
    `csv-ü;${customer};${base.metric};1.234,5;GB;2025-02-01 00:30;Europe/Berlin;comma`,
  ];
  const utf16 = (text) => Buffer.from(`\ufeff${text}`, "utf16le");
  const ENCODED = [
    ["text/csv; charset=windows-1252", Buffer.from(rows.join("\r\n"), "latin1")],
    ["text/csv; charset=ISO-8859-15", Buffer.from(rows.join("\n"), "latin1")],
    ["text/csv", Buffer.from(`\ufeff${rows.join("\r\n")}\r\n`, "utf8")],
    ["text/csv; charset=utf-8", Buffer.from(rows.join("\n").replaceAll(";", "\t"), "utf8")],
    [
      "text/csv; charset=utf-8",
      Buffer.from(
        rows
          .map((row) =>
            row
              .split(";")
              .map((cell) => `"${cell}"`)
              .join(","),
          )
          .join("\n"),
        "utf8",
      ),
    ],
    ['text/csv; charset="utf-16le"', utf16(rows.join("\r\n"))],
  ];
  test("the same table in six encodings is the same record", async () => {
    const seen = new Set();
    for (const [type, bytes] of ENCODED) {
      const { items } = await api("POST", "/api/usage", bytes, { "content-type": type });
      seen.add(JSON.stringify({ ...items[0], result: "" }));
    }
    assert.equal(seen.size, 1);
    assert.deepEqual(JSON.parse([...seen][0]), {
      key: "csv-ü",
      customer,
      metric: base.metric,
      quantity: "1234500000000",
      unit: "B",
      at: "2025-01-31T23:30:00.000Z",
      result: "",
    });
  });
  test("bytes that are not in their charset are refused, as is a charset that is none", async () => {
    const wrong = await call("POST", "/api/usage", Buffer.from(rows.join("\n"), "latin1"), { "content-type": "text/csv" });
    assert.deepEqual([wrong.status, wrong.body.type], [400, "urn:billing:problem:invalid-request"]);
    const none = await call("POST", "/api/usage", rows.join("\n"), { "content-type": "text/csv; charset=klingon" });
    assert.equal(none.status, 415);
  });
  test("a refused record names its place, and nothing of its request is recorded", async () => {
    const answer = await call("POST", "/api/usage", [
      { ...base, key: "good" },
      { ...base, key: "bad", quantity: "1,234" },
    ]);
    assert.deepEqual([answer.status, answer.body.errors[0].pointer], [422, "/body/1/quantity"]);
    const { items } = await api("GET", `/api/customers/${customer}/usage?month=${month}`);
    assert.ok(items.every(({ key }) => key !== "good"));
  });
});
