import { type Big, divide, ONE } from "./decimal.js";

// ISO 4217. Not `Intl.NumberFormat`: CLDR shows some currencies (RSD, HUF in cash) with fewer digits than ISO counts.
const ISO_4217 = "CLP ISK JPY KRW 0, AUD BGN CAD CHF CZK DKK EUR GBP HUF NOK NZD PLN RON SEK SGD USD 2, BHD KWD TND 3";
const MINOR_UNITS: ReadonlyMap<string, number> = new Map(
  ISO_4217.split(", ").flatMap((group) => group.match(/[A-Z]{3}/g)?.map((code) => [code, Number(group.at(-1))] as const) ?? []),
);

/** Symbols that name one currency. `$` and `¥` name several. */
const SYMBOLS: ReadonlyMap<string, string> = new Map([
  ["€", "EUR"],
  ["£", "GBP"],
]);

export const CURRENCIES: readonly string[] = [...MINOR_UNITS.keys()].sort();

/** The code of a currency that is written as code (in any case) or symbol. */
export function currencyOf(text: string): string | undefined {
  const code = text.toUpperCase();
  return MINOR_UNITS.has(code) ? code : SYMBOLS.get(text);
}

export function minorUnits(currency: string): number {
  const digits = MINOR_UNITS.get(currency);
  if (digits === undefined) throw new Error(`currency ${currency} was let in and is not known`);
  return digits;
}

/** `dividend ÷ divisor` in money: the one place where an amount is rounded. */
export const roundMoney = (currency: string, dividend: Big, divisor: Big = ONE): Big =>
  divide(dividend, divisor, minorUnits(currency));

/** With exactly the currency's minor units: `12.30`, `120`, `1.250`. */
export const formatMoney = (currency: string, amount: Big): string => amount.toFixed(minorUnits(currency));
