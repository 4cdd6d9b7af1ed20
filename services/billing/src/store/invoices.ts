import type pg from "pg";
import type { Span } from "../domain/calendar.js";
import { invoiceOf, monthSpan, periodsOf } from "../domain/invoice.js";
import { type Customer, type Invoice, type InvoiceDraft, PAGE } from "../schemas.js";
import { subscriptionsOf } from "./accounts.js";
import { only, type Queryable } from "./pool.js";
import { usedIn } from "./usage.js";

interface InvoiceRow {
  readonly number: string;
  readonly issued_at: Date;
  readonly document: InvoiceDraft;
}

const issuedOf = ({ number, issued_at, document }: InvoiceRow): Invoice => ({
  ...document,
  number: `INV-${number.padStart(8, "0")}`,
  issued_at: issued_at.toISOString(),
});

/** The invoice as it would be issued now. */
export async function computeInvoice(
  database: Queryable,
  seller: string,
  customer: Customer,
  month: string,
): Promise<InvoiceDraft> {
  const periods = periodsOf(customer, month, await subscriptionsOf(database, customer.id));
  const used = await usedIn(database, customer.id, monthSpan(month, customer.time_zone), periods);
  return invoiceOf(seller, customer, month, periods, used);
}

export async function findInvoice(database: Queryable, customer: string, month: string): Promise<Invoice | undefined> {
  const { rows } = await database.query<InvoiceRow>(
    "SELECT number, issued_at, document FROM invoices WHERE customer = $1 AND month = $2",
    [customer, month],
  );
  return rows[0] && issuedOf(rows[0]);
}

/** Newest months first, those before `before`. */
export async function listInvoices(database: Queryable, customer: string, before: string): Promise<Invoice[]> {
  const { rows } = await database.query<InvoiceRow>(
    "SELECT number, issued_at, document FROM invoices WHERE customer = $1 AND month < $2 ORDER BY month DESC LIMIT $3",
    [customer, before, PAGE],
  );
  return rows.map(issuedOf);
}

/** Keeps the invoice under the next number. The counter's row stays locked until the commit, so numbers have no gaps. */
export async function addInvoice(client: pg.PoolClient, customer: Customer, invoice: InvoiceDraft): Promise<Invoice> {
  const counter = await client.query<{ last: string }>("UPDATE invoice_counter SET last = last + 1 RETURNING last");
  const span = monthSpan(invoice.month, customer.time_zone);
  const { rows } = await client.query<InvoiceRow>(
    `INSERT INTO invoices (customer, month, number, period_start, period_end, document) VALUES ($1, $2, $3, $4, $5, $6)
     RETURNING number, issued_at, document`,
    [customer.id, invoice.month, only(counter.rows).last, new Date(span.start), new Date(span.end), invoice],
  );
  return issuedOf(only(rows));
}

/** Whether any month that the span touches is invoiced. */
export async function invoicedIn(database: Queryable, customer: string, { start, end }: Span): Promise<boolean> {
  const { rows } = await database.query(
    "SELECT 1 FROM invoices WHERE customer = $1 AND period_end > $2 AND period_start < $3 LIMIT 1",
    [customer, new Date(start), new Date(end)],
  );
  return rows.length > 0;
}
