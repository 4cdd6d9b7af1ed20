import type { FastifyPluginAsyncTypebox } from "@fastify/type-provider-typebox";
import type { Pool, PoolClient } from "pg";
import { Type } from "typebox";
import { spanOf } from "../domain/calendar.js";
import type { Subscription } from "../domain/invoice.js";
import { metricOf } from "../domain/plan.js";
import { notFound, ProblemError } from "../problem.js";
import { ById, type Customer, Id, operation, pageOf, SubscriptionBody } from "../schemas.js";
import { findCustomer, findPlan, lockCustomer, saveSubscription, subscriptionsOf } from "../store/accounts.js";
import { invoicedIn } from "../store/invoices.js";
import { transaction } from "../store/pool.js";

const one = Type.Ref("Subscription");
const Put = operation(
  "putSubscription",
  "Subscribe a customer to a plan, or set the end. Dates are local to the customer",
  { params: Type.Object({ id: Id, subscription: Id }), body: SubscriptionBody },
  { good: { 200: one, 201: one }, bad: [404, 409, 422] },
);
const page = { good: { 200: pageOf("Subscription") }, bad: [404] };
const List = operation("listSubscriptions", "A customer's subscriptions", { params: ById }, page);

export const subscriptionRoutes =
  (pool: Pool): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.put("/api/customers/:id/subscriptions/:subscription", { schema: Put }, async ({ params, body }, reply) => {
      const { from, until } = body;
      if (from < "2000" || (until ?? from) > "2100") throw new ProblemError("unprocessable", "dates are from 2000 to 2099");
      if (until !== undefined && until <= from) throw new ProblemError("unprocessable", "until is not after from");
      const created = await transaction(pool, async (client) => {
        const customer = (await lockCustomer(client, params.id)) ?? notFound("customer", params.id);
        const plan = (await findPlan(client, body.plan)) ?? notFound("plan", body.plan);
        const wanted = { id: params.subscription, plan, from, ...(until !== undefined && { until }) };
        await admit(client, customer, wanted);
        return saveSubscription(client, customer.id, wanted);
      });
      return reply.code(created ? 201 : 200).send({ id: params.subscription, ...body });
    });

    app.get("/api/customers/:id/subscriptions", { schema: List }, async ({ params: { id } }) => {
      const customer = (await findCustomer(pool, id)) ?? notFound("customer", id);
      return { items: (await subscriptionsOf(pool, customer.id)).map((it) => ({ ...it, plan: it.plan.id })) };
    });
  };

/** Throws where the subscription contradicts the others, itself as it was, or an invoice that was issued. */
async function admit(client: PoolClient, customer: Customer, wanted: Subscription): Promise<void> {
  const all = await subscriptionsOf(client, customer.id);
  const before = all.find(({ id }) => id === wanted.id);
  const conflict = (detail: string) => new ProblemError("conflict", detail);
  if (wanted.plan.currency !== customer.currency) {
    throw conflict(`the plan is in ${wanted.plan.currency}, the customer pays in ${customer.currency}`);
  }
  if (before && (before.plan.id !== wanted.plan.id || before.from !== wanted.from)) {
    throw conflict("plan and from of a subscription do not change: end it and begin another");
  }
  const metric = metricOf(wanted.plan);
  const rivals = all.filter(({ id, plan }) => id !== wanted.id && metric !== undefined && metricOf(plan) === metric);
  const rival = rivals.find((other) => other.from < endOf(wanted) && wanted.from < endOf(other));
  if (rival) throw conflict(`subscription \`${rival.id}\` bills metric \`${metric}\` at the same time`);

  // What changes: all of a new one, else the dates between the two ends.
  const [start = wanted.from, end = OPEN] = before ? [endOf(before), endOf(wanted)].sort() : [wanted.from, endOf(wanted)];
  if (start < end && (await invoicedIn(client, customer.id, spanOf(start, end, customer.time_zone)))) {
    throw new ProblemError("month-closed", "this changes a month that is invoiced");
  }
}

const OPEN = "9999-12-31";
const endOf = ({ until }: Subscription) => until ?? OPEN;
