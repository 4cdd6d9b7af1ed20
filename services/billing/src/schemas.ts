// The one place that says what goes in and out: validation, the OpenAPI document and the TypeScript types all come from here.
import { type Static, type TProperties, Type } from "typebox";
import { CURRENCIES } from "./domain/currency.js";
import { FIRST_MONTH } from "./domain/vat.js";

/** What comes in has these properties and no others. */
export const closed = <P extends TProperties>(properties: P) => Type.Object(properties, { additionalProperties: false });
/** Text of people: no control characters. Length is in characters (code points). */
export const text = (most: number, example: string, description = "") =>
  Type.String({ minLength: 1, maxLength: most, pattern: "^[^\\u0000-\\u001f\\u007f]+$", examples: [example], description });
const word = <const T extends readonly string[]>(values: T, description?: string) =>
  Type.Enum([...values] as T[number][], description ? { description } : {});

/** Characters of a name: as it comes, and in NFC, which may have more. */
export const KEY = 128;
export const METRIC = 64;

export const Id = Type.String({ pattern: "^[a-z0-9][a-z0-9-]{0,62}$", examples: ["acme"], description: "Chosen by the client" });
export const Month = Type.String({
  pattern: "^20(2[4-9]|[3-9][0-9])-(0[1-9]|1[0-2])$",
  examples: ["2025-03"],
  description: `A calendar month in the customer's time zone, from ${FIRST_MONTH} on`,
});
const LocalDate = Type.String({ format: "date", examples: ["2025-03-10"], description: "From 2000 to 2099" });
const Currency = Type.Enum([...CURRENCIES], { description: "ISO 4217", examples: ["EUR"] });
const Price = Type.String({ pattern: "^(0|[1-9][0-9]{0,11})(\\.[0-9]{1,9})?$", examples: ["0.019"] });
const Fee = Type.String({
  pattern: "^(0|[1-9][0-9]{0,11})(\\.[0-9]{1,3})?$",
  examples: ["29.90"],
  description: "For a whole month",
});
const Money = Type.String({ description: "With exactly the currency's minor units", examples: ["12.30"] });
const Time = Type.String({ format: "date-time", description: "UTC" });

export const ById = Type.Object({ id: Id });
export const ByMonth = Type.Object({ id: Id, month: Month });
/** Lists come in pages of so many; `after` is the last id of the page before. */
export const PAGE = 100;
export const Page = closed({ after: Type.Optional(Id) });
export const pageOf = (id: string) => Type.Object({ items: Type.Array(Type.Ref(id), { description: `At most ${PAGE}` }) });

export const CustomerBody = closed({
  name: text(200, "Acme GmbH"),
  country: Type.String({ pattern: "^[A-Z]{2}$", description: "ISO 3166-1 alpha-2; Greece is GR", examples: ["DE"] }),
  vat_id: Type.Optional(
    text(32, "DE123456789", "Makes the customer a business for VAT; begins with the country's code (Greece: EL)"),
  ),
  time_zone: text(64, "Europe/Berlin", "IANA name; months and days are this zone's"),
  currency: Currency,
});
export const Customer = Type.Object({ id: Id, ...CustomerBody.properties }, { $id: "Customer" });
export type Customer = Static<typeof Customer>;

const priced = { name: text(200, "Traffic"), currency: Currency, fee: Fee };
const metered = { metric: text(METRIC, "traffic"), unit: text(32, "GB", "What prices and limits are per") };
const Tier = closed({ up_to: Type.Optional(Price), unit_price: Price });
const Flat = { kind: Type.Literal("flat"), ...priced };
const PerUnit = { kind: Type.Literal("per_unit"), ...priced, ...metered, unit_price: Price };
const tiers = Type.Array(Tier, {
  minItems: 1,
  maxItems: 20,
  description: "Each but the last has an up_to, inclusive; they rise",
});
const Tiered = { kind: Type.Literal("tiered"), ...priced, ...metered, mode: word(["graduated", "volume"]), tiers };
export const PlanBody = Type.Union([closed(Flat), closed(PerUnit), closed(Tiered)]);
export const Plan = Type.Union(
  [Type.Object({ id: Id, ...Flat }), Type.Object({ id: Id, ...PerUnit }), Type.Object({ id: Id, ...Tiered })],
  { $id: "Plan" },
);
export type Tier = Static<typeof Tier>;
export type Terms = Static<typeof PlanBody>;
export type Plan = Terms & { id: string };

export const SubscriptionBody = closed({
  plan: Id,
  from: LocalDate,
  until: Type.Optional({ ...LocalDate, examples: ["2025-09-10"], description: "The first date on which it no longer runs" }),
});
export const Subscription = Type.Object({ id: Id, ...SubscriptionBody.properties }, { $id: "Subscription" });

export const UsageInput = closed({
  key: text(KEY, "7f3c", "The client's own; the same key of the same customer counts once"),
  customer: Id,
  metric: text(METRIC, "traffic"),
  quantity: text(64, "1.234,5", "As people write it: 1234.5 · 1.234,5 · 1 234,5 · 12,50 €. What has two readings is refused"),
  unit: text(32, "GB", "B kB MB GB TB KiB MiB GiB TiB · ms s min h d · count thousand million · a currency's code"),
  at: text(40, "2025-03-30T01:30:00", "RFC 3339 with an offset, or a local time and time_zone"),
  time_zone: Type.Optional(text(64, "Europe/Berlin", "IANA name, for a local time")),
  number_format: Type.Optional(word(["point", "comma"], "The decimal sign")),
});
const canonical = {
  key: Type.String(),
  customer: Id,
  metric: Type.String(),
  quantity: Type.String({ description: "In the canonical unit", examples: ["1234500000"] }),
  unit: Type.String({ description: "B, s, count, or a currency's code" }),
  at: Time,
};
export const Usage = Type.Object(canonical, { $id: "Usage" });
export const Recorded = Type.Object({ ...canonical, result: word(["recorded", "duplicate"]) }, { $id: "Recorded" });
export type UsageInput = Static<typeof UsageInput>;
export type Usage = Static<typeof Usage>;
export type Recorded = Static<typeof Recorded>;

const Line = Type.Object({ subscription: Id, kind: word(["fee", "usage"]), description: Type.String(), amount: Money });
const draft = {
  customer: Id,
  month: Month,
  currency: Currency,
  lines: Type.Array(Line),
  net: Money,
  tax: Type.Object({
    treatment: word(["standard", "reverse_charge", "outside_scope"]),
    country: Type.String(),
    rate: Type.String({ description: "In percent", examples: ["19", "25.5"] }),
    amount: Money,
    note: Type.Optional(Type.String()),
  }),
  total: Money,
  unbilled: Type.Array(Type.Object({ metric: Type.String(), quantity: Type.String(), unit: Type.String() }), {
    description: "Usage while no subscription to its metric ran",
  }),
};
export const InvoiceDraft = Type.Object(draft, { $id: "InvoiceDraft" });
const number = Type.String({ description: "Without gaps", examples: ["INV-00000001"] });
export const Invoice = Type.Object({ number, issued_at: Time, ...draft }, { $id: "Invoice" });
export type InvoiceDraft = Static<typeof InvoiceDraft>;
export type Invoice = Static<typeof Invoice>;

export const Health = Type.Object(
  {
    status: word(["ok", "error"]),
    version: Type.String(),
    commit: Type.Union([Type.String(), Type.Null()]),
    digest: Type.Union([Type.String(), Type.Null()], { description: "Of the image, where who deployed it said so" }),
    uptime_seconds: Type.Number(),
    schema: Type.Object({ needed: Type.Integer(), found: Type.Union([Type.Integer(), Type.Null()]) }),
    error: Type.Optional(Type.String()),
  },
  { $id: "Health" },
);

/** RFC 9457 problem details: what every answer above 399 is. */
export const Problem = Type.Object(
  {
    type: Type.String({ description: "Names the kind of problem; stable", examples: ["urn:billing:problem:key-reused"] }),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.Optional(Type.String()),
    instance: Type.Optional(Type.String({ description: "The request's id, as in the logs" })),
    errors: Type.Optional(
      Type.Array(Type.Object({ pointer: Type.String({ description: "Where, as a JSON pointer" }), detail: Type.String() })),
    ),
  },
  { $id: "Problem" },
);

export const Shared = [Customer, Plan, Subscription, Usage, Recorded, InvoiceDraft, Invoice, Health, Problem];

const isProblem = { description: "Problem details", content: { "application/problem+json": { schema: Type.Ref("Problem") } } };

/** A route's schema: its name and purpose in the document, what it takes, and its answers, good and bad. */
export const operation = <const S extends object>(
  operationId: string,
  summary: string,
  takes: S,
  answers: { good: Readonly<Record<number, object>>; bad?: readonly number[] },
) => ({
  operationId,
  summary,
  ...takes,
  response: { ...answers.good, ...Object.fromEntries([400, 503, ...(answers.bad ?? [])].map((status) => [status, isProblem])) },
});
