// Months, days and local times, in zones whose days are not what one thinks. The oracle is Intl: what the clocks there show.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { daysBetween, instantOf, monthOf, spanOf, timeZoneOf } from "../../dist/domain/calendar.js";
import { monthSpan } from "../../dist/domain/invoice.js";

const HOUR = 3_600_000;
const formatters = new Map();
/** What the clocks of the zone show: `YYYY-MM-DD hh:mm:ss`. */
function clock(instant, zone) {
  if (!formatters.has(zone)) {
    formatters.set(zone, new Intl.DateTimeFormat("sv-SE", { timeZone: zone, dateStyle: "short", timeStyle: "medium" }));
  }
  return formatters.get(zone).format(new Date(instant));
}
const iso = (instant) => new Date(instant).toISOString();
const tomorrow = (date) => new Date(Date.parse(date) + 24 * HOUR).toISOString().slice(0, 10);
const hours = (date, zone) => {
  const { start, end } = spanOf(date, tomorrow(date), zone);
  return (end - start) / HOUR;
};

/** Day by day: hours, and the instant at which it begins. */
const DAYS = [
  ["2025-03-30", "Europe/Berlin", 23, "2025-03-29T23:00:00.000Z"],
  ["2025-10-26", "Europe/Berlin", 25, "2025-10-25T22:00:00.000Z"],
  ["2025-06-01", "Asia/Kathmandu", 24, "2025-05-31T18:15:00.000Z"],
  ["2025-04-06", "Australia/Lord_Howe", 24.5, "2025-04-05T13:00:00.000Z"],
  ["2025-10-05", "Australia/Lord_Howe", 23.5, "2025-10-04T13:30:00.000Z"],
  // Clocks go forward at midnight: the day begins at one.
  ["2024-09-08", "America/Santiago", 23, "2024-09-08T04:00:00.000Z"],
  ["2024-04-26", "Africa/Cairo", 23, "2024-04-25T22:00:00.000Z"],
  ["2025-03-30", "Asia/Beirut", 23, "2025-03-29T22:00:00.000Z"],
  ["2025-03-09", "America/Havana", 23, "2025-03-09T05:00:00.000Z"],
  // Clocks go back at one: midnight comes twice, and the day begins with the first.
  ["2025-11-02", "America/Havana", 25, "2025-11-02T04:00:00.000Z"],
  // Clocks go back at midnight, to the day before.
  ["2024-10-31", "Africa/Cairo", 25, "2024-10-30T21:00:00.000Z"],
  ["2024-04-06", "America/Santiago", 25, "2024-04-06T03:00:00.000Z"],
  // The day that Samoa left out, and the one after.
  ["2011-12-30", "Pacific/Apia", 0, "2011-12-30T10:00:00.000Z"],
  ["2011-12-31", "Pacific/Apia", 24, "2011-12-30T10:00:00.000Z"],
];

describe("days", () => {
  test("have the length that they have there, and begin with their first moment", () => {
    for (const [date, zone, length, start] of DAYS) {
      assert.equal(hours(date, zone), length, `${date} ${zone}`);
      assert.equal(iso(spanOf(date, tomorrow(date), zone).start), start, `${date} ${zone}`);
    }
  });
  test("every day around a change: the clocks show its date from its first millisecond on, and not before", () => {
    const zones = new Set(DAYS.map(([, zone]) => zone).filter((zone) => zone !== "Pacific/Apia"));
    for (const zone of [...zones, "UTC", "America/New_York", "Atlantic/Azores", "Pacific/Kiritimati", "Africa/Casablanca"]) {
      for (const first of ["2024-03-29", "2024-04-05", "2024-04-25", "2024-09-07", "2024-10-25", "2024-10-31", "2025-03-08"]) {
        for (let n = 0, date = first; n < 4; n += 1, date = tomorrow(date)) {
          const { start, end } = spanOf(date, tomorrow(date), zone);
          const shown = [start - 1, start, end - 1, end].map((instant) => clock(instant, zone).slice(0, 10) === date);
          assert.deepEqual(shown, [false, true, true, false], `${date} ${zone}`);
        }
      }
    }
  });
  test("are counted by the calendar, not by hours", () => {
    for (const [from, until, days] of [
      ["2025-03-01", "2025-04-01", 31],
      ["2024-02-01", "2024-03-01", 29],
      ["2025-03-30", "2025-03-31", 1],
      ["2025-03-30", "2025-03-30", 0],
      ["2000-01-01", "2099-12-31", 36_524],
    ]) {
      assert.equal(daysBetween(from, until), days, `${from} ${until}`);
    }
  });
});

describe("months", () => {
  test("each from 2024 to 2099: first, last, days, next", () => {
    for (let year = 2024; year < 2100; year += 1) {
      for (let number = 1; number <= 12; number += 1) {
        const two = (it) => String(it).padStart(2, "0");
        const days = new Date(Date.UTC(year, number, 0)).getUTCDate();
        const month = `${year}-${two(number)}`;
        assert.deepEqual(monthOf(month), {
          first: `${month}-01`,
          next: number === 12 ? `${year + 1}-01-01` : `${year}-${two(number + 1)}-01`,
          last: `${month}-${two(days)}`,
          days,
        });
      }
    }
  });
  test("are as long as their days, with the hours that the clocks skip or repeat", () => {
    for (const [month, zone, length] of [
      ["2025-03", "Europe/Berlin", 31 * 24 - 1],
      ["2025-10", "Europe/Berlin", 31 * 24 + 1],
      ["2024-02", "Europe/Berlin", 29 * 24],
      ["2025-10", "Australia/Lord_Howe", 31 * 24 - 0.5],
      // Clocks go back for Ramadan, and forward after it.
      ["2025-02", "Africa/Casablanca", 28 * 24 + 1],
      ["2025-04", "Africa/Casablanca", 30 * 24 - 1],
    ]) {
      const { start, end } = monthSpan(month, zone);
      assert.equal((end - start) / HOUR, length, `${month} ${zone}`);
    }
  });
  test("follow each other without a gap, also where the first has no midnight", () => {
    // Paraguay's clocks went forward at the midnight before 2023-10-01.
    assert.equal(iso(monthSpan("2023-10", "America/Asuncion").start), "2023-10-01T04:00:00.000Z");
    assert.equal(monthSpan("2023-09", "America/Asuncion").end, monthSpan("2023-10", "America/Asuncion").start);
    for (const zone of [
      "Europe/Berlin",
      "America/Santiago",
      "Pacific/Apia",
      "Africa/Cairo",
      "Pacific/Kiritimati",
      "Etc/GMT+12",
    ]) {
      let before = monthSpan("2023-12", zone).end;
      for (const month of ["2024-01", "2024-02", "2024-03", "2024-04", "2024-05", "2024-06", "2024-07", "2024-08", "2024-09"]) {
        const { start, end } = monthSpan(month, zone);
        assert.equal(start, before, `${month} ${zone}`);
        assert.deepEqual([clock(start - 1, zone).slice(0, 7) < month, clock(start, zone).slice(0, 7)], [true, month]);
        before = end;
      }
    }
  });
});

describe("zones", () => {
  test("by their IANA names, in any case, in their own spelling", () => {
    for (const [text, name] of [
      ["Europe/Berlin", "Europe/Berlin"],
      ["europe/berlin", "Europe/Berlin"],
      ["AMERICA/ARGENTINA/BUENOS_AIRES", "America/Argentina/Buenos_Aires"],
      ["UTC", "UTC"],
      ["Etc/GMT+1", "Etc/GMT+1"],
    ]) {
      assert.equal(timeZoneOf(text), name);
    }
  });
  test("offsets, and what is no zone, are none", () => {
    const none = [
      "+01:00",
      "-05",
      "01:00",
      "Z",
      "",
      " ",
      "Europe/Atlantis",
      "Europe/Berlin ",
      "Europe/Berlin\n",
      "../etc/passwd",
    ];
    for (const text of [
      ...none,
      "Europe",
      "MEZ",
      "[UTC]",
      "UTC[u-ca=hebrew]",
      "\u0000",
      "A".repeat(65),
      "constructor",
      "__proto__",
    ]) {
      assert.equal(timeZoneOf(text), undefined, JSON.stringify(text));
    }
  });
});

describe("times", () => {
  test("local times around a change: the instant at which the clocks show them, if there is just one", () => {
    for (const [date, zone] of DAYS) {
      // What the clocks show in those days.
      const shown = new Map();
      for (let at = Date.parse(date) - 36 * HOUR; at < Date.parse(date) + 60 * HOUR; at += 15 * 60_000) {
        const local = clock(at, zone);
        shown.set(local, (shown.get(local) ?? []).concat(at));
      }
      for (let minute = 0; minute < 24 * 60; minute += 30) {
        const local = new Date(Date.parse(date) + minute * 60_000).toISOString().slice(0, 19);
        const instants = shown.get(local.replace("T", " ")) ?? [];
        const read = instantOf(local, zone);
        const told = `${local} ${zone} ${JSON.stringify(read)}`;
        if (instants.length === 1) assert.deepEqual(read, { at: instants[0] }, told);
        else assert.match(read.refused ?? "", instants.length === 0 ? /is skipped/ : /comes twice/, told);
      }
    }
  });
  test("an offset settles it, whatever the zone; fractions of a millisecond are cut off", () => {
    for (const [text, instant] of [
      ["2025-10-26T02:30:00+02:00", "2025-10-26T00:30:00.000Z"],
      ["2025-10-26T02:30:00+01:00", "2025-10-26T01:30:00.000Z"],
      ["2025-01-01T00:00Z", "2025-01-01T00:00:00.000Z"],
      ["2025-01-01 00:00:00.123999999z", "2025-01-01T00:00:00.123Z"],
      ["2024-12-31t23:59:59.9999-00:00", "2024-12-31T23:59:59.999Z"],
      ["2024-02-29T12:00:00+14:00", "2024-02-28T22:00:00.000Z"],
      ["2016-12-31T23:59:60Z", "2016-12-31T23:59:59.000Z"],
    ]) {
      for (const zone of [undefined, "Europe/Berlin", "no zone at all"]) {
        assert.equal(iso(instantOf(text, zone).at), instant, text);
      }
    }
  });
  test("what the calendar does not have, or has no zone, is refused", () => {
    const never = ["2025-02-29", "2025-02-30", "2025-04-31", "2025-13-01", "2025-00-10", "2025-01-00"].map(
      (day) => `${day}T00:00:00`,
    );
    const clocks = ["24:00:00", "23:60:00", "23:59:61", "25:00:00"].map((time) => `2025-03-01T${time}`);
    for (const text of [...never, ...clocks]) {
      for (const time of [`${text}Z`, text]) assert.ok("refused" in instantOf(time, "Europe/Berlin"), time);
    }
    const shapes = [
      "2025-03-01",
      "20250301T000000Z",
      "2025-03-01T00:00:00+0100",
      "2025-03-01T00:00:00+01",
      "2025-W01-1",
      "now",
      "",
    ];
    const odd = [
      "2025-03-01T00:00:00Z[UTC]",
      "+002025-03-01T00:00:00Z",
      "2025-03-01T00:00:00.Z",
      "2025-03-01T00:00:00.0000000001Z",
    ];
    for (const text of [...shapes, ...odd, "2025-03-01T00:00:00+25:00", "2025-03-01  00:00:00Z", "２０２５-03-01T00:00:00Z"]) {
      assert.ok("refused" in instantOf(text, "Europe/Berlin"), text);
    }
    for (const zone of [undefined, "+01:00", "Europe/Atlantis", ""]) {
      assert.ok("refused" in instantOf("2025-03-01T00:00:00", zone), String(zone));
    }
  });
});
