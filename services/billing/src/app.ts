import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";
import swagger from "@fastify/swagger";
import type { TypeBoxTypeProvider } from "@fastify/type-provider-typebox";
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest, type HTTPMethods, LogController } from "fastify";
import type { Config } from "./config.js";
import { installCsv } from "./csv.js";
import { installMetrics } from "./metrics.js";
import { installProblems, ProblemError, sendProblem } from "./problem.js";
import { customerRoutes } from "./routes/customers.js";
import { invoiceRoutes } from "./routes/invoices.js";
import { operationRoutes } from "./routes/operations.js";
import { planRoutes } from "./routes/plans.js";
import { subscriptionRoutes } from "./routes/subscriptions.js";
import { usageRoutes } from "./routes/usage.js";
import { Shared } from "./schemas.js";
import { BRISK, openPool, PATIENT } from "./store/pool.js";

const BODY_LIMIT = 1 << 20;
const REQUEST_MS = 30_000;

/** The whole service, ready to listen. It connects to the database with the first request; closing it ends the connections. */
export async function buildApp(config: Config, now: () => number): Promise<FastifyInstance> {
  const app = Fastify({
    // One line a request is written below, where its route and duration are known.
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: "request_id" }),
    logger: { level: config.logLevel, base: { service: "billing", version: config.release.version } },
    genReqId: requestId,
    bodyLimit: BODY_LIMIT,
    requestTimeout: REQUEST_MS,
    frameworkErrors: (error, request, reply) => {
      // No hook sees these.
      request.log.info({ method: request.method, url: request.url, status: 400 }, "request");
      return sendProblem(reply, "invalid-request", error.message);
    },
    // A request is as its schema says, or refused: nothing is turned into another type, filled in or dropped on the way.
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: false, allErrors: false } },
  }).withTypeProvider<TypeBoxTypeProvider>();

  installProblems(app);
  installCsv(app);
  app.addHook("onRequest", async (request, reply) => {
    reply.header("x-request-id", request.id);
  });
  app.addHook("onResponse", async (request, reply) => {
    const { method, url, routeOptions } = request;
    const line = { method, url, route: routeOptions.url, status: reply.statusCode, ms: Math.round(reply.elapsedTime * 10) / 10 };
    // Probes and scrapes come every few seconds; they are of interest when they fail.
    const quiet = reply.statusCode < 400 && /^\/(api\/health|metrics)$/.test(routeOptions.url ?? "");
    request.log[quiet ? "debug" : "info"](line, "request");
  });
  const refuseOtherMethods = watchMethods(app);

  const description = "Usage-based billing, exact to the cent. Errors are problem details (RFC 9457).";
  await app.register(swagger, {
    openapi: { openapi: "3.1.0", info: { title: "Billing", version: config.release.version, description } },
    refResolver: { buildLocalReference: (json, _base, _fragment, at) => String(json.$id ?? `schema-${at}`) },
  });
  for (const schema of Shared) app.addSchema(schema);
  const lost = (error: Error) => app.log.warn({ err: error }, "lost a connection to the database");
  const pool = openPool(config.databaseUrl, config.databaseConnections, PATIENT, lost);
  // A connection that nothing else uses: a service that is busy is not one whose database does not answer.
  const probe = openPool(config.databaseUrl, 1, BRISK, lost);
  app.addHook("onClose", () => Promise.all([pool.end(), probe.end()]));
  installMetrics(app, pool, config.release);
  await app.register(operationRoutes(probe, config.release));
  await app.register(customerRoutes(pool));
  await app.register(planRoutes(pool));
  await app.register(subscriptionRoutes(pool));
  await app.register(usageRoutes(pool));
  await app.register(invoiceRoutes(pool, config.sellerCountry, now));
  refuseOtherMethods();
  await app.ready();
  return app;
}

/** The client's id where it is one, so that a request can be followed through several services' logs. */
function requestId(request: IncomingMessage): string {
  const given = request.headers["x-request-id"];
  return typeof given === "string" && /^[\w.:-]{1,64}$/.test(given) ? given : randomUUID();
}

/**
 * An address that exists answers a method that it has not with 405 and what it has (RFC 9110, section 15.5.6), not with 404.
 * Call before the routes are added; what it returns, after.
 */
function watchMethods(app: FastifyInstance): () => void {
  const known = new Map<string, string[]>();
  app.addHook("onRoute", ({ url, method }) => {
    known.set(url, (known.get(url) ?? []).concat(method));
  });
  return () => {
    for (const [url, has] of [...known]) {
      const allow = [...new Set(has)].sort().join(", ");
      const method = app.supportedMethods.filter((one) => !has.includes(one)) as HTTPMethods[];
      // Before the body is read: a method that is not there has none.
      const refuse = async (request: FastifyRequest, reply: FastifyReply) => {
        reply.header("allow", allow);
        throw new ProblemError("method-not-allowed", `${request.method} is none of ${allow}`);
      };
      app.route({ method, url, schema: { hide: true }, onRequest: refuse, handler: refuse });
    }
  };
}
