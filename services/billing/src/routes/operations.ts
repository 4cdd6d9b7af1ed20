import { setTimeout } from "node:timers/promises";
import type { FastifyPluginAsyncTypebox } from "@fastify/type-provider-typebox";
import type { FastifyInstance } from "fastify";
import type { Pool } from "pg";
import { collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import { Type } from "typebox";
import type { Release } from "../config.js";
import { findSchema, SCHEMA, type SchemaVersion, schemaFault } from "../store/schema.js";

const one = Type.Ref("Health");
const schema = {
  operationId: "getHealth",
  summary: "200 only when the database answers and has a schema that this release can work on",
  response: { 200: one, 503: one },
};

/** Shorter than the two seconds that probes wait: a health check that hangs says less than one that answers. */
const ANSWER_MS = 1_500;

/** `probe` is a connection that nothing else uses: a service that is busy is not one whose database does not answer. */
export const operationRoutes =
  (probe: Pool, release: Release): FastifyPluginAsyncTypebox =>
  async (app) => {
    // However many ask: one question at a time.
    let asking: Promise<SchemaVersion | undefined> | undefined;
    const ask = () => {
      asking ??= findSchema(probe).finally(() => {
        asking = undefined;
      });
      return asking;
    };
    app.get("/api/health", { schema }, async (request, reply) => {
      let found: number | null = null;
      let error: string | undefined;
      try {
        const schema = await Promise.race([ask(), late()]);
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

    app.get("/api/openapi.json", hidden, async () => app.swagger());
  };

const hidden = { schema: { hide: true } };

/** Not a plugin: a plugin's hooks see its own routes only. Call before the routes are added. */
export function installMetrics(app: FastifyInstance, pool: Pool, release: Release): void {
  const metrics = metricsOf(pool, release);
  // By route, not by address: an address is as long a list as there are customers.
  app.addHook("onResponse", async (request, reply) => {
    const route = request.routeOptions.url ?? "none";
    metrics.seconds.observe({ method: request.method, route, status: reply.statusCode }, reply.elapsedTime / 1000);
  });
  app.get("/metrics", hidden, async (_, reply) => reply.type(metrics.all.contentType).send(await metrics.all.metrics()));
}

async function late(): Promise<never> {
  await setTimeout(ANSWER_MS, undefined, { ref: false });
  throw new Error(`no answer within ${ANSWER_MS} ms`);
}

function metricsOf(pool: Pool, release: Release): { all: Registry; seconds: Histogram } {
  const all = new Registry();
  const registers = [all];
  collectDefaultMetrics({ register: all });
  new Gauge({
    name: "database_connections",
    help: "Connections of the pool by state; waiting are requests without one",
    labelNames: ["state"],
    registers,
    collect() {
      this.set({ state: "idle" }, pool.idleCount);
      this.set({ state: "busy" }, pool.totalCount - pool.idleCount);
      this.set({ state: "waiting" }, pool.waitingCount);
    },
  });
  const labels = { version: release.version, commit: release.commit ?? "" };
  new Gauge({ name: "build_info", help: "1, with the release as labels", labelNames: ["version", "commit"], registers }).set(
    labels,
    1,
  );
  const seconds = new Histogram({
    name: "http_request_duration_seconds",
    help: "Time from the request's head to the answer's last byte",
    labelNames: ["method", "route", "status"],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    registers,
  });
  return { all, seconds };
}
