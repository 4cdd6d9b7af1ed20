import type { FastifyPluginAsyncTypebox } from "@fastify/type-provider-typebox";
import type { Pool } from "pg";
import { Type } from "typebox";
import { monthSpan } from "../domain/invoice.js";
import { notFound, ProblemError } from "../problem.js";
import { ById, ByMonth, closed, Month, operation, pageOf } from "../schemas.js";
import { findCustomer, lockCustomer } from "../store/accounts.js";
import { addInvoice, computeInvoice, findInvoice, listInvoices } from "../store/invoices.js";
import { transaction } from "../store/pool.js";

const takes = { params: ByMonth };
const one = Type.Ref("Invoice");
const Preview = operation("previewInvoice", "A month's invoice as it would be issued now; stores nothing", takes, {
  good: { 200: Type.Ref("InvoiceDraft") },
  bad: [404],
});
const Issue = operation("issueInvoice", "Issue a month's invoice, once. Afterwards the month takes no usage", takes, {
  good: { 200: one, 201: one },
  bad: [404, 409],
});
const Get = operation("getInvoice", "The invoice that was issued for a month", takes, { good: { 200: one }, bad: [404] });
const querystring = closed({ before: Type.Optional(Month) });
const List = operation(
  "listInvoices",
  "A customer's invoices, the newest months first",
  { params: ById, querystring },
  {
    good: { 200: pageOf("Invoice") },
    bad: [404],
  },
);

export const invoiceRoutes =
  (pool: Pool, seller: string, now: () => number): FastifyPluginAsyncTypebox =>
  async (app) => {
    const address = "/api/customers/:id/invoices/:month";

    app.get(`${address}/preview`, { schema: Preview }, async ({ params: { id, month } }) => {
      const customer = (await findCustomer(pool, id)) ?? notFound("customer", id);
      return computeInvoice(pool, seller, customer, month);
    });

    app.put(address, { schema: Issue }, async ({ params: { id, month } }, reply) => {
      const { invoice, created } = await transaction(pool, async (client) => {
        const customer = (await lockCustomer(client, id)) ?? notFound("customer", id);
        const issued = await findInvoice(client, id, month);
        if (issued !== undefined) return { invoice: issued, created: false };
        if (monthSpan(month, customer.time_zone).end > now()) {
          throw new ProblemError("month-not-over", `${month} is not over in ${customer.time_zone}`);
        }
        const computed = await computeInvoice(client, seller, customer, month);
        return { invoice: await addInvoice(client, customer, computed), created: true };
      });
      return reply.code(created ? 201 : 200).send(invoice);
    });

    app.get(address, { schema: Get }, async ({ params: { id, month } }) => {
      const invoice = await findInvoice(pool, id, month);
      return invoice ?? notFound("invoice", `${id}/${month}`);
    });

    app.get("/api/customers/:id/invoices", { schema: List }, async ({ params: { id }, query: { before = "9999-12" } }) => {
      const customer = (await findCustomer(pool, id)) ?? notFound("customer", id);
      return { items: await listInvoices(pool, customer.id, before) };
    });
  };
