import { Temporal } from "@js-temporal/polyfill";

/** A half-open span of instants, in milliseconds since 1970. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** The zone's own spelling of an IANA name, or nothing where there is no such zone. Offsets are not zones. */
export function timeZoneOf(name: string): string | undefined {
  if (!/^[A-Za-z][A-Za-z0-9_+\-/]{0,63}$/.test(name)) return undefined;
  try {
    return Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(name).timeZoneId;
  } catch {
    return undefined;
  }
}

/** The dates `[from, until)` as instants of the zone; a day begins at its first moment, which is not midnight everywhere. */
export function spanOf(from: string, until: string, timeZone: string): Span {
  const start = (date: string) => Temporal.PlainDate.from(date).toZonedDateTime(timeZone).epochMilliseconds;
  return { start: start(from), end: start(until) };
}

export interface Month {
  readonly first: string;
  /** The first date of the month after. */
  readonly next: string;
  readonly last: string;
  readonly days: number;
}

/** `month` is `YYYY-MM`. */
export function monthOf(month: string): Month {
  const { year, month: number, daysInMonth } = Temporal.PlainYearMonth.from(month);
  const first = Temporal.PlainDate.from({ year, month: number, day: 1 });
  return {
    first: first.toString(),
    next: first.add({ months: 1 }).toString(),
    last: first.with({ day: daysInMonth }).toString(),
    days: daysInMonth,
  };
}

/** The number of dates in `[from, until)`. */
export const daysBetween = (from: string, until: string): number =>
  Temporal.PlainDate.from(from).until(Temporal.PlainDate.from(until)).days;

export type Instant = { readonly at: number } | { readonly refused: string };

const OFFSET = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?([Zz]|[+-]\d\d:\d\d)$/;
const LOCAL = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?$/;

/** The instant that an RFC 3339 time, or a local time and its zone, means. Skipped and doubled local times mean none. */
export function instantOf(text: string, timeZone: string | undefined): Instant {
  try {
    if (OFFSET.test(text)) return { at: Temporal.Instant.from(text).epochMilliseconds };
    if (!LOCAL.test(text)) return { refused: "is not a time: RFC 3339 with an offset, or a local time with time_zone" };
    if (timeZone === undefined) return { refused: "is a local time: it needs an offset, or time_zone" };
    const zone = timeZoneOf(timeZone);
    if (zone === undefined) return { refused: "has a time_zone that is not an IANA zone, such as Europe/Berlin" };
    const local = Temporal.PlainDateTime.from(text, { overflow: "reject" });
    const earlier = local.toZonedDateTime(zone, { disambiguation: "earlier" });
    const later = local.toZonedDateTime(zone, { disambiguation: "later" });
    if (earlier.epochMilliseconds === later.epochMilliseconds) return { at: earlier.epochMilliseconds };
    const skipped = !earlier.toPlainDateTime().equals(local);
    return { refused: `${skipped ? "is skipped" : "comes twice"} in ${zone}, where the clocks change: it needs an offset` };
  } catch {
    return { refused: "is not a time of the calendar" };
  }
}
