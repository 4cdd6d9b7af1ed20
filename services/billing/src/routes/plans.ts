import { isDeepStrictEqual } from "node:util";
import type { FastifyPluginAsyncTypebox } from "@fastify/type-provider-typebox";
import type { Pool } from "pg";
import { Type } from "typebox";
import { nameOf } from "../domain/name.js";
import { faultsOf, metricOf, requireUnit } from "../domain/plan.js";
import { notFound, ProblemError } from "../problem.js";
import { ById, METRIC, operation, PlanBody, type Terms } from "../schemas.js";
import { addPlan, claimMetric, findPlan } from "../store/accounts.js";
import { transaction } from "../store/pool.js";

const one = Type.Ref("Plan");
const Put = operation(
  "putPlan",
  "Create a plan. It never changes, since invoices were computed from it; the same terms again are a success",
  { params: ById, body: PlanBody },
  { good: { 200: one, 201: one }, bad: [409, 422] },
);
const Get = operation("getPlan", "One plan", { params: ById }, { good: { 200: one }, bad: [404] });

export const planRoutes =
  (pool: Pool): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.put("/api/plans/:id", { schema: Put }, async ({ params: { id }, body }, reply) => {
      const terms = canonical(body);
      const faults = faultsOf(terms);
      if (faults.length > 0) throw new ProblemError("unprocessable", faults.join("; "));
      const plan = { ...terms, id };
      const created = await transaction(pool, async (client) => {
        if (terms.kind !== "flat") {
          const { canonical: unit } = requireUnit(terms.unit);
          const claimed = await claimMetric(client, terms.metric, unit);
          if (claimed !== unit)
            throw new ProblemError("conflict", `metric \`${terms.metric}\` is measured in ${claimed}, not ${unit}`);
        }
        if (await addPlan(client, plan)) return true;
        if (isDeepStrictEqual(await findPlan(client, id), plan)) return false;
        throw new ProblemError("conflict", `plan \`${id}\` has other terms, and plans do not change: choose another id`);
      });
      return reply.code(created ? 201 : 200).send(plan);
    });

    app.get("/api/plans/:id", { schema: Get }, async ({ params: { id } }) => (await findPlan(pool, id)) ?? notFound("plan", id));
  };

/** One spelling for what is the same: the metric's name as usage has it. */
function canonical(terms: Terms): Terms {
  const name = terms.name.toWellFormed();
  const written = metricOf(terms);
  if (written === undefined) return { ...terms, name };
  const metric = nameOf(written, METRIC);
  if (metric === undefined) {
    throw new ProblemError(
      "unprocessable",
      `metric is empty, longer than ${METRIC} characters in NFC, or not well-formed Unicode`,
    );
  }
  return { ...terms, name, metric } as Terms;
}
