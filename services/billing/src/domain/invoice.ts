import type { Customer, InvoiceDraft, Plan } from "../schemas.js";
import { daysBetween, monthOf, type Span, spanOf } from "./calendar.js";
import { formatMoney, roundMoney } from "./currency.js";
import { Big, plain, sum, ZERO } from "./decimal.js";
import { metricOf, usagePrice } from "./plan.js";
import { taxOf } from "./vat.js";

export interface Subscription {
  readonly id: string;
  readonly plan: Plan;
  /** Local dates of the customer: `[from, until)`. */
  readonly from: string;
  readonly until?: string;
}

/** The part of a month on which a subscription runs. */
export interface Period {
  readonly subscription: Subscription;
  readonly days: number;
  readonly span: Span;
}

/** What was used in a month, in canonical units: of each period's metric (by the period's place), and while none ran. */
export interface Used {
  readonly inPeriod: ReadonlyMap<number, Big>;
  readonly unbilled: readonly { readonly metric: string; readonly unit: string; readonly quantity: Big }[];
}

export const monthSpan = (month: string, timeZone: string): Span => {
  const { first, next } = monthOf(month);
  return spanOf(first, next, timeZone);
};

/** The periods of a month, in the byte order of the subscriptions' ids. */
export function periodsOf(customer: Customer, month: string, subscriptions: readonly Subscription[]): Period[] {
  const { first, next } = monthOf(month);
  const periods = subscriptions.flatMap((subscription) => {
    // biome-ignore lint/complexity/useMathMinMax: dates are text
    const from = subscription.from > first ? subscription.from : first;
    const until = subscription.until !== undefined && subscription.until < next ? subscription.until : next;
    if (from >= until) return [];
    return [{ subscription, days: daysBetween(from, until), span: spanOf(from, until, customer.time_zone) }];
  });
  return periods.sort((a, b) => (a.subscription.id < b.subscription.id ? -1 : 1));
}

/** The invoice of a month by RULES.md. Pure: same facts, same invoice. */
export function invoiceOf(
  seller: string,
  customer: Customer,
  month: string,
  periods: readonly Period[],
  used: Used,
): InvoiceDraft {
  const { currency } = customer;
  const { days: daysOfMonth, last } = monthOf(month);
  const lines: { subscription: string; kind: "fee" | "usage"; description: string; amount: Big }[] = [];

  for (const [at, { subscription, days }] of periods.entries()) {
    const { plan, id } = subscription;
    const fee = new Big(plan.fee);
    if (fee.gt(ZERO)) {
      const amount = roundMoney(currency, fee.times(String(days)), new Big(String(daysOfMonth)));
      lines.push({ subscription: id, kind: "fee", description: `${plan.name}, ${days} of ${daysOfMonth} days`, amount });
    }
    const quantity = used.inPeriod.get(at) ?? ZERO;
    const metric = metricOf(plan);
    const price = usagePrice(plan, quantity);
    if (metric === undefined || price === undefined || !quantity.gt(ZERO)) continue;
    const amount = roundMoney(currency, price.dividend, price.divisor);
    lines.push({ subscription: id, kind: "usage", description: `${plan.name}, ${metric}`, amount });
  }

  const net = sum(lines.map((line) => line.amount));
  const tax = taxOf(seller, customer, last);
  const taxed = roundMoney(currency, net.times(tax.rate), new Big("100"));
  const money = (amount: Big) => formatMoney(currency, amount);
  return {
    customer: customer.id,
    month,
    currency,
    lines: lines.map((line) => ({ ...line, amount: money(line.amount) })),
    net: money(net),
    tax: {
      treatment: tax.treatment,
      country: tax.country,
      rate: plain(tax.rate),
      amount: money(taxed),
      ...(tax.treatment === "reverse_charge" && { note: "Reverse charge: Directive 2006/112/EC, Article 196" }),
    },
    total: money(net.plus(taxed)),
    unbilled: used.unbilled.map(({ metric, unit, quantity }) => ({ metric, quantity: plain(quantity), unit })),
  };
}
