import type pg from "pg";
import type { Subscription } from "../domain/invoice.js";
import { metricOf } from "../domain/plan.js";
import { type Customer, PAGE, type Plan, type Terms } from "../schemas.js";
import { only, type Queryable } from "./pool.js";

type Nullable<T> = { [K in keyof T]: T[K] | null };

/** A row as the domain has it: what is NULL is absent. */
const present = <T extends object>(row: Nullable<T>): T =>
  Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null)) as T;

// Columns are always named: a newer release may have added some.
const CUSTOMER = "SELECT id, name, country, vat_id, time_zone, currency FROM customers";

async function customers(database: Queryable, rest: string, values: unknown[]): Promise<Customer[]> {
  const { rows } = await database.query<Nullable<Customer>>(`${CUSTOMER} ${rest}`, values);
  return rows.map(present<Customer>);
}

export const findCustomer = async (database: Queryable, id: string) => (await customers(database, "WHERE id = $1", [id]))[0];

/** Locked until the end of the transaction: no usage comes in and no invoice is issued meanwhile. */
export const lockCustomer = async (client: pg.PoolClient, id: string) =>
  (await customers(client, "WHERE id = $1 FOR UPDATE", [id]))[0];

export const listCustomers = (database: Queryable, after: string) =>
  customers(database, "WHERE id > $1 ORDER BY id LIMIT $2", [after, PAGE]);

/**
 * Whether the row was new; nothing where there is one with another currency or time zone. Only the named columns are written: a newer
 * release's stay as they are.
 */
export async function saveCustomer(client: pg.PoolClient, it: Customer): Promise<boolean | undefined> {
  const { rows } = await client.query<{ created: boolean }>(
    `INSERT INTO customers (id, name, country, vat_id, time_zone, currency) VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (id) DO UPDATE SET name = excluded.name, country = excluded.country, vat_id = excluded.vat_id
       WHERE customers.currency = excluded.currency AND customers.time_zone = excluded.time_zone
     RETURNING xmax = 0 AS created`,
    [it.id, it.name, it.country, it.vat_id, it.time_zone, it.currency],
  );
  return rows[0]?.created;
}

export async function findPlan(database: Queryable, id: string): Promise<Plan | undefined> {
  const { rows } = await database.query<{ terms: Terms }>("SELECT terms FROM plans WHERE id = $1", [id]);
  return rows[0] && { ...rows[0].terms, id };
}

/** Whether the plan was new; an existing one is not changed. */
export async function addPlan(client: pg.PoolClient, { id, ...terms }: Plan): Promise<boolean> {
  const { rowCount } = await client.query(
    "INSERT INTO plans (id, metric, currency, terms) VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO NOTHING",
    [id, metricOf(terms), terms.currency, terms],
  );
  return rowCount === 1;
}

/** The canonical unit that a metric has from now on, which is the one it had before if there was one. */
export async function claimMetric(client: pg.PoolClient, metric: string, unit: string): Promise<string | undefined> {
  await client.query("INSERT INTO metrics (id, unit) VALUES ($1, $2) ON CONFLICT DO NOTHING", [metric, unit]);
  return (await metricUnits(client, [metric])).get(metric);
}

export async function metricUnits(database: Queryable, metrics: readonly string[]): Promise<Map<string, string>> {
  const text = "SELECT id, unit FROM metrics WHERE id = ANY ($1)";
  const { rows } = await database.query<{ id: string; unit: string }>(text, [metrics]);
  return new Map(rows.map(({ id, unit }) => [id, unit]));
}

export async function subscriptionsOf(database: Queryable, customer: string): Promise<Subscription[]> {
  const { rows } = await database.query<Nullable<Subscription>>(
    `SELECT s.id, s.starts AS from, s.ends AS until, p.terms || jsonb_build_object('id', p.id) AS plan
     FROM subscriptions s JOIN plans p ON p.id = s.plan WHERE s.customer = $1 ORDER BY s.id`,
    [customer],
  );
  return rows.map(present<Subscription>);
}

/** Whether the row was new. An existing one gets the new end; its plan and start are the caller's to compare. */
export async function saveSubscription(client: pg.PoolClient, customer: string, it: Subscription): Promise<boolean> {
  const { rows } = await client.query<{ created: boolean }>(
    `INSERT INTO subscriptions (customer, id, plan, starts, ends) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (customer, id) DO UPDATE SET ends = excluded.ends
     RETURNING xmax = 0 AS created`,
    [customer, it.id, it.plan.id, it.from, it.until],
  );
  return only(rows).created;
}
