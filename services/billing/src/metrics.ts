import type { FastifyInstance } from "fastify";
import type { Pool } from "pg";
import { collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { Release } from "./config.js";

/** Not a plugin: a plugin's hooks see its own routes only. Call before the routes are added. */
export function installMetrics(app: FastifyInstance, pool: Pool, release: Release): void {
  const metrics = metricsOf(pool, release);
  // By route, not by address: an address is as long a list as there are customers.
  app.addHook("onResponse", async (request, reply) => {
    const route = request.routeOptions.url ?? "none";
    metrics.seconds.observe({ method: request.method, route, status: reply.statusCode }, reply.elapsedTime / 1000);
  });
  app.get("/metrics", { schema: { hide: true } }, async (_, reply) =>
    reply.type(metrics.all.contentType).send(await metrics.all.metrics()),
  );
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
  const info = new Gauge({
    name: "build_info",
    help: "1, with the release as labels",
    labelNames: ["version", "commit"],
    registers,
  });
  info.set({ version: release.version, commit: release.commit ?? "" }, 1);
  const seconds = new Histogram({
    name: "http_request_duration_seconds",
    help: "Time from the request's head to the answer's last byte",
    labelNames: ["method", "route", "status"],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    registers,
  });
  return { all, seconds };
}
