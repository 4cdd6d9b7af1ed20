import type { FastifyPluginAsyncTypebox } from "@fastify/type-provider-typebox";
import type { Pool } from "pg";
import { Type } from "typebox";
import type { Release } from "../config.js";
import { findSchema, SCHEMA, schemaFault } from "../store/schema.js";

const one = Type.Ref("Health");
const schema = {
  operationId: "getHealth",
  summary: "200 only when the database answers and has a schema that this release can work on",
  response: { 200: one, 503: one },
};

export const operationRoutes =
  (probe: Pool, release: Release): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.get("/api/health", { schema }, async (request, reply) => {
      let found: number | null = null;
      let error: string | undefined;
      try {
        const schema = await findSchema(probe);
        found = schema?.version ?? null;
        error = schemaFault(schema);
      } catch (cause) {
        request.log.warn({ err: cause }, "health: no answer from the database");
        error = "the database does not answer";
      }
      return reply.code(error === undefined ? 200 : 503).send({
        status: error === undefined ? "ok" : "error",
        ...release,
        uptime_seconds: Math.round(process.uptime() * 10) / 10,
        schema: { needed: SCHEMA, found },
        ...(error !== undefined && { error }),
      });
    });

    app.get("/api/openapi.json", { schema: { hide: true } }, async () => app.swagger());
  };
