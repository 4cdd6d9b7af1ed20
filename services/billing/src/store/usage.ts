import type pg from "pg";
import type { Span } from "../domain/calendar.js";
import { Big, plain, ZERO } from "../domain/decimal.js";
import type { Period, Used } from "../domain/invoice.js";
import { metricOf } from "../domain/plan.js";
import { PAGE, type Recorded, type Usage } from "../schemas.js";
import type { Queryable } from "./pool.js";

export type Conflict = "unknown-customer" | "unit" | "key-reused" | "month-closed";
export type Ingested = { readonly stored: Recorded[] } | { readonly conflict: Conflict; readonly records: Usage[] };

const identity = (usage: Usage) => JSON.stringify([usage.customer, usage.key]);
const content = (usage: Usage) => JSON.stringify([usage.metric, usage.quantity, usage.unit, usage.at]);

/** Stores what is new. All of it or, on any conflict, nothing: the caller's transaction is to be rolled back then. */
export async function ingest(client: pg.PoolClient, units: ReadonlyMap<string, string>, records: Usage[]): Promise<Ingested> {
  const strange = records.filter((record) => units.get(record.metric) !== record.unit);
  if (strange.length > 0) return { conflict: "unit", records: strange };

  const first = new Map<string, Usage>();
  for (const record of records) if (!first.has(identity(record))) first.set(identity(record), record);
  // In one order, so that two requests with the same keys wait for each other instead of dying of a deadlock.
  const wanted = [...first.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, record]) => record);

  // Issuing an invoice locks the customer too: no record slips into a month while it is being closed.
  const customers = [...new Set(wanted.map((record) => record.customer))];
  const { rows: there } = await client.query<{ id: string }>(
    "SELECT id FROM customers WHERE id = ANY ($1) ORDER BY id FOR SHARE",
    [customers],
  );
  const unknown = records.filter((record) => !there.some(({ id }) => id === record.customer));
  if (unknown.length > 0) return { conflict: "unknown-customer", records: unknown };

  const added = await insert(client, wanted);
  const isNew = (record: Usage) => added.has(identity(record));
  const known = wanted.filter((record) => !isNew(record));
  const before = await find(client, known);
  const reused = records.filter((record) => {
    const kept = before.get(identity(record)) ?? first.get(identity(record));
    return kept === undefined || content(kept) !== content(record);
  });
  if (reused.length > 0) return { conflict: "key-reused", records: reused };

  const late = await inClosedMonths(client, wanted.filter(isNew));
  if (late.length > 0) return { conflict: "month-closed", records: records.filter((record) => late.includes(record)) };
  const counted = (record: Usage) => isNew(record) && first.get(identity(record)) === record;
  return { stored: records.map((record) => ({ ...record, result: counted(record) ? "recorded" : "duplicate" })) };
}

const COLUMNS =
  "unnest($1::text[], $2::text[], $3::text[], $4::numeric[], $5::timestamptz[]) AS n (customer, key, metric, quantity, at)";

const FIELDS = ["customer", "key", "metric", "quantity", "at"] as const;
const columns = (records: readonly Usage[]) => FIELDS.map((field) => records.map((record) => record[field]));

/** The identities of the records that were not there. Waits for another transaction that is adding the same key. */
async function insert(client: pg.PoolClient, records: readonly Usage[]): Promise<Set<string>> {
  const { rows } = await client.query<Usage>(
    `INSERT INTO usage (customer, key, metric, quantity, at) SELECT customer, key, metric, quantity, at FROM ${COLUMNS}
     ON CONFLICT (customer, key) DO NOTHING RETURNING customer, key`,
    columns(records),
  );
  return new Set(rows.map(identity));
}

type UsageRow = Omit<Usage, "at"> & { readonly at: Date };

const usageOf = (row: UsageRow): Usage => ({ ...row, quantity: plain(new Big(row.quantity)), at: row.at.toISOString() });

const SELECT = "SELECT u.customer, u.key, u.metric, u.quantity, m.unit, u.at FROM usage u JOIN metrics m ON m.id = u.metric";

async function find(client: pg.PoolClient, records: readonly Usage[]): Promise<Map<string, Usage>> {
  if (records.length === 0) return new Map();
  const { rows } = await client.query<UsageRow>(
    `${SELECT} JOIN unnest($1::text[], $2::text[]) AS n (customer, key) ON n.customer = u.customer AND n.key = u.key`,
    columns(records).slice(0, 2),
  );
  return new Map(rows.map((row) => [identity(usageOf(row)), usageOf(row)]));
}

async function inClosedMonths(client: pg.PoolClient, records: readonly Usage[]): Promise<Usage[]> {
  if (records.length === 0) return [];
  const { rows } = await client.query<{ customer: string; key: string }>(
    `SELECT n.customer, n.key FROM ${COLUMNS}
     JOIN invoices i ON i.customer = n.customer AND n.at >= i.period_start AND n.at < i.period_end`,
    columns(records),
  );
  return records.filter((record) => rows.some((row) => row.customer === record.customer && row.key === record.key));
}

/** A customer's records in a span of time, by key; those after `after`. */
export async function listUsage(database: Queryable, customer: string, { start, end }: Span, after: string): Promise<Usage[]> {
  const { rows } = await database.query<UsageRow>(
    `${SELECT} WHERE u.customer = $1 AND u.at >= $2 AND u.at < $3 AND u.key > $4 ORDER BY u.key LIMIT $5`,
    [customer, new Date(start), new Date(end), after, PAGE],
  );
  return rows.map(usageOf);
}

/** What an invoice needs, summed by the database in one look. Periods of one metric do not overlap: no usage counts twice. */
export async function usedIn(database: Queryable, customer: string, month: Span, periods: readonly Period[]): Promise<Used> {
  const { rows } = await database.query<{ n: string | null; metric: string; unit: string; quantity: string }>(
    `SELECT p.n, m.id AS metric, m.unit, sum(u.quantity) AS quantity
     FROM usage u JOIN metrics m ON m.id = u.metric
     LEFT JOIN unnest($4::text[], $5::timestamptz[], $6::timestamptz[]) WITH ORDINALITY AS p (metric, starts, ends, n)
       ON p.metric = u.metric AND u.at >= p.starts AND u.at < p.ends
     WHERE u.customer = $1 AND u.at >= $2 AND u.at < $3 GROUP BY p.n, m.id, m.unit ORDER BY m.id`,
    [
      customer,
      new Date(month.start),
      new Date(month.end),
      periods.map(({ subscription }) => metricOf(subscription.plan) ?? null),
      periods.map(({ span }) => new Date(span.start)),
      periods.map(({ span }) => new Date(span.end)),
    ],
  );
  const read = rows.map((row) => ({ ...row, quantity: new Big(row.quantity) }));
  const inPeriod = new Map(read.flatMap(({ n, quantity }) => (n === null ? [] : [[Number(n) - 1, quantity] as const])));
  return { inPeriod, unbilled: read.filter(({ n, quantity }) => n === null && quantity.gt(ZERO)) };
}
