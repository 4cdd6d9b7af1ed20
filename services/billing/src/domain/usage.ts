import { KEY, METRIC, type Usage, type UsageInput } from "../schemas.js";
import { instantOf } from "./calendar.js";
import { decimalsOf, plain, wholeDigitsOf } from "./decimal.js";
import { nameOf } from "./name.js";
import { quantityOf } from "./quantity.js";
import { unitOf } from "./units.js";

export interface Refusal {
  readonly field: keyof UsageInput;
  readonly detail: string;
}

const WHOLE_DIGITS = 18;
const DECIMALS = 9;
/** PostgreSQL's `timestamptz` and the rates reach further; times outside are typing errors. */
const YEARS = { first: Date.UTC(2000, 0), last: Date.UTC(2100, 0) };

/** Everything that is wrong with the input, or its canonical record. Pure: no clock, no data base. */
export function normalise(input: UsageInput): Usage | Refusal[] {
  const refusals: Refusal[] = [];
  const refuse = (field: keyof UsageInput, detail: string): undefined => {
    refusals.push({ field, detail });
  };
  const name = (field: "key" | "customer" | "metric", most = KEY) =>
    nameOf(input[field], most) ?? refuse(field, `is empty, longer than ${most} characters in NFC, or not well-formed Unicode`);
  const [key, customer, metric] = [name("key"), name("customer"), name("metric", METRIC)];
  const unit = unitOf(input.unit) ?? refuse("unit", `\`${shown(input.unit)}\` is not one known unit (RULES.md lists them)`);
  const read = quantityOf(input.quantity, input.number_format);
  if ("refused" in read) refuse("quantity", `\`${shown(input.quantity)}\` ${read.refused}`);
  const instant = instantOf(input.at, input.time_zone);
  if ("refused" in instant) refuse("at", `\`${shown(input.at)}\` ${instant.refused}`);
  else if (instant.at < YEARS.first || instant.at >= YEARS.last) refuse("at", "is before 2000 or after 2099");

  if (unit === undefined || "refused" in read || "refused" in instant) return refusals;
  if (read.currency !== undefined && read.currency !== unit.canonical) {
    refuse("quantity", `is in ${read.currency}, and the unit is ${unit.canonical}`);
  }
  const quantity = read.value.times(unit.factor);
  if (wholeDigitsOf(quantity) > WHOLE_DIGITS || decimalsOf(quantity) > DECIMALS) {
    refuse("quantity", `has more than ${WHOLE_DIGITS} digits before or ${DECIMALS} after the point, in ${unit.canonical}`);
  }
  if (key === undefined || customer === undefined || metric === undefined || refusals.length > 0) return refusals;
  const at = new Date(instant.at).toISOString();
  return { key, customer, metric, quantity: plain(quantity), unit: unit.canonical, at };
}

/** Input that goes back into an answer, shortened. */
const shown = (text: string): string => (text.length > 40 ? `${text.slice(0, 40).toWellFormed()}…` : text.toWellFormed());
