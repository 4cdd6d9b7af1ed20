import { setImmediate } from "node:timers/promises";
import type { FastifyPluginAsyncTypebox } from "@fastify/type-provider-typebox";
import type { Pool } from "pg";
import { Type } from "typebox";
import { monthSpan } from "../domain/invoice.js";
import { normalise } from "../domain/usage.js";
import { type FieldError, notFound, type ProblemCode, ProblemError } from "../problem.js";
import { ById, closed, KEY, Month, operation, pageOf, text, type Usage, UsageInput } from "../schemas.js";
import { findCustomer, metricUnits } from "../store/accounts.js";
import { transaction } from "../store/pool.js";
import { type Conflict, ingest, listUsage } from "../store/usage.js";

const Post = operation(
  "postUsage",
  "Record usage: all of the records, or none. Each becomes one canonical record; sending a request again is safe",
  { consumes: ["application/json", "text/csv"], body: Type.Array(UsageInput, { minItems: 1, maxItems: 1000 }) },
  { good: { 200: Type.Object({ items: Type.Array(Type.Ref("Recorded")) }) }, bad: [409, 413, 415, 422] },
);
const List = operation(
  "listUsage",
  "A customer's usage in a month, by key",
  { params: ById, querystring: closed({ month: Month, after: Type.Optional(text(KEY, "7f3c")) }) },
  { good: { 200: pageOf("Usage") }, bad: [404] },
);

const CONFLICTS: Readonly<Record<Conflict, readonly [ProblemCode, keyof Usage, string]>> = {
  unit: ["unprocessable", "metric", "no plan knows this metric in this dimension"],
  "unknown-customer": ["unprocessable", "customer", "there is no such customer"],
  "key-reused": ["key-reused", "key", "came with another record before"],
  "month-closed": ["month-closed", "at", "belongs to a month that is invoiced"],
};

export const usageRoutes =
  (pool: Pool): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.post("/api/usage", { schema: Post }, async ({ body }) => {
      const records: Usage[] = [];
      const errors: FieldError[] = [];
      for (const [at, input] of body.entries()) {
        // Local times take long to read, and others are to be answered meanwhile.
        if (at % 50 === 49) await setImmediate();
        const read = normalise(input);
        if (Array.isArray(read)) errors.push(...read.map(({ field, detail }) => ({ pointer: `/body/${at}/${field}`, detail })));
        else records.push(read);
      }
      if (errors.length > 0) throw new ProblemError("unprocessable", `${errors.length} fields cannot be read`, errors);
      const items = await transaction(pool, async (client) => {
        const units = await metricUnits(client, [...new Set(records.map((record) => record.metric))]);
        const done = await ingest(client, units, records);
        if ("stored" in done) return done.stored;
        const [code, field, detail] = CONFLICTS[done.conflict];
        const pointers = done.records.map((record) => ({ pointer: `/body/${records.indexOf(record)}/${field}`, detail }));
        throw new ProblemError(code, "nothing was recorded", pointers);
      });
      return { items };
    });

    app.get("/api/customers/:id/usage", { schema: List }, async ({ params: { id }, query }) => {
      const customer = (await findCustomer(pool, id)) ?? notFound("customer", id);
      return { items: await listUsage(pool, id, monthSpan(query.month, customer.time_zone), query.after ?? "") };
    });
  };
