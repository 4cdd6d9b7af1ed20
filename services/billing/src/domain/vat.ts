import type { Customer } from "../schemas.js";
import { Big } from "./decimal.js";

export interface Tax {
  readonly treatment: "standard" | "reverse_charge" | "outside_scope";
  readonly country: string;
  /** In percent. */
  readonly rate: Big;
}

/** Standard rates in percent on 2024-01-01. */
const STANDARD = new Map(
  `AT 20, BE 21, BG 20, CY 19, CZ 21, DE 19, DK 25, EE 22, ES 21, FI 24, FR 20, GR 24, HR 25, HU 27, IE 23, IT 22, LT 21,
   LU 17, LV 21, MT 18, NL 21, PL 23, PT 23, RO 19, SE 25, SI 22, SK 20`
    .split(",")
    .map((entry) => entry.trim().split(" ") as [string, string]),
);

/** What changed since, in the order of the dates. */
const CHANGES: readonly (readonly [country: string, from: string, rate: string])[] = [
  ["FI", "2024-09-01", "25.5"],
  ["SK", "2025-01-01", "23"],
  ["EE", "2025-07-01", "24"],
  ["RO", "2025-08-01", "21"],
];

/** The first month with rates; earlier ones cannot be invoiced. */
export const FIRST_MONTH = "2024-01";

export const isEu = (country: string): boolean => STANDARD.has(country);

function standardRate(country: string, date: string): Big {
  const change = CHANGES.findLast(([where, from]) => where === country && from <= date);
  return new Big(change?.[2] ?? STANDARD.get(country) ?? "0");
}

/**
 * Who is taxed where, for electronic services (Directive 2006/112/EC, Articles 44, 58, 196).
 * `date` is the tax point, `YYYY-MM-DD`.
 */
export function taxOf(seller: string, customer: Pick<Customer, "country" | "vat_id">, date: string): Tax {
  const { country } = customer;
  const zero = new Big("0");
  if (!isEu(country)) return { treatment: "outside_scope", country, rate: zero };
  if (country !== seller && customer.vat_id !== undefined) return { treatment: "reverse_charge", country, rate: zero };
  return { treatment: "standard", country, rate: standardRate(country, date) };
}

/**
 * A VAT number without spaces, dots and hyphens; nothing where it cannot be one of `country`. VIES knows whether it exists. Numbers
 * from outside the EU have no common shape, and no bearing on the tax: they are kept as they came.
 */
export function vatIdOf(country: string, text: string): string | undefined {
  const compact = text
    .normalize("NFKC")
    .replace(/[\s.-]/g, "")
    .toUpperCase();
  if (!isEu(country)) return compact.isWellFormed() && compact !== "" ? compact : undefined;
  const prefix = country === "GR" ? "EL" : country;
  return compact.startsWith(prefix) && /^[A-Z]{2}[0-9A-Z+*]{2,12}$/.test(compact) ? compact : undefined;
}
