import type { FastifyPluginAsyncTypebox } from "@fastify/type-provider-typebox";
import type { Pool } from "pg";
import { Type } from "typebox";
import { timeZoneOf } from "../domain/calendar.js";
import { isCountry } from "../domain/country.js";
import { vatIdOf } from "../domain/vat.js";
import { notFound, ProblemError } from "../problem.js";
import { ById, CustomerBody, operation, Page, pageOf } from "../schemas.js";
import { findCustomer, listCustomers, lockCustomer, saveCustomer } from "../store/accounts.js";
import { transaction } from "../store/pool.js";

const one = Type.Ref("Customer");
const Put = operation(
  "putCustomer",
  "Create a customer, or change name, country and VAT number; currency and time zone stay, what was billed depends on them",
  { params: ById, body: CustomerBody },
  { good: { 200: one, 201: one }, bad: [409, 422] },
);
const Get = operation("getCustomer", "One customer", { params: ById }, { good: { 200: one }, bad: [404] });
const List = operation("listCustomers", "Customers, by id", { querystring: Page }, { good: { 200: pageOf("Customer") } });

export const customerRoutes =
  (pool: Pool): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.put("/api/customers/:id", { schema: Put }, async ({ params: { id }, body }, reply) => {
      if (!isCountry(body.country))
        throw new ProblemError("unprocessable", "country is no country of ISO 3166-1, such as DE; Greece is GR");
      const time_zone = timeZoneOf(body.time_zone);
      if (time_zone === undefined)
        throw new ProblemError("unprocessable", "time_zone is not an IANA zone, such as Europe/Berlin");
      const vat_id = body.vat_id === undefined ? undefined : vatIdOf(body.country, body.vat_id);
      if (vat_id === undefined && body.vat_id !== undefined) {
        throw new ProblemError("unprocessable", `vat_id is not a VAT number of ${body.country}`);
      }
      const customer = { ...body, id, time_zone, name: body.name.toWellFormed(), ...(vat_id !== undefined && { vat_id }) };
      const created = await transaction(pool, async (client) => {
        await lockCustomer(client, id);
        const isNew = await saveCustomer(client, customer);
        if (isNew === undefined) throw new ProblemError("conflict", "currency and time_zone of a customer do not change");
        return isNew;
      });
      return reply.code(created ? 201 : 200).send(customer);
    });

    app.get("/api/customers/:id", { schema: Get }, async ({ params: { id } }) => {
      const customer = await findCustomer(pool, id);
      return customer ?? notFound("customer", id);
    });

    app.get("/api/customers", { schema: List }, async ({ query }) => ({ items: await listCustomers(pool, query.after ?? "") }));
  };
