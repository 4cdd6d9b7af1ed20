import type { FastifyInstance, FastifyReply } from "fastify";

const TITLES = {
  "invalid-request": [400, "The request has not the documented shape"],
  "unsupported-media-type": [415, "This media type is not read here"],
  "not-found": [404, "There is no such thing"],
  "method-not-allowed": [405, "This address has no such method"],
  conflict: [409, "This contradicts what is there"],
  "key-reused": [409, "The same key came with another record before"],
  "month-closed": [409, "The month is invoiced"],
  "month-not-over": [409, "The month is not over"],
  "too-large": [413, "The request is too large"],
  unprocessable: [422, "The request is understood and makes no sense"],
  internal: [500, "Something broke here"],
  unavailable: [503, "The database cannot be used at the moment"],
} as const satisfies Record<string, readonly [number, string]>;

export type ProblemCode = keyof typeof TITLES;

export interface FieldError {
  readonly pointer: string;
  readonly detail: string;
}

/** A "no" with its reason; what `throw` carries from a handler to the client. */
export class ProblemError extends Error {
  constructor(
    readonly code: ProblemCode,
    readonly detail: string,
    readonly errors: readonly FieldError[] = [],
  ) {
    super(detail);
  }
}

export function notFound(what: string, id: string): never {
  throw new ProblemError("not-found", `there is no ${what} \`${id}\``);
}

/** At most so many errors are listed: an answer stays small however wrong the request is. */
const LISTED = 20;

export function sendProblem(reply: FastifyReply, code: ProblemCode, detail?: string, errors: readonly FieldError[] = []) {
  const [status, title] = TITLES[code];
  const { id } = reply.request;
  const more = { ...(detail && { detail }), ...(errors.length > 0 && { errors: errors.slice(0, LISTED) }) };
  const problem = { type: `urn:billing:problem:${code}`, title, status, instance: id, ...more };
  return reply.header("x-request-id", id).code(status).type("application/problem+json").send(problem);
}

/** Whether the database gave no answer, as against a wrong question. By PostgreSQL's classes and Node's codes. */
function isOutage(error: Error): boolean {
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  return (
    // Also what is over soon: a deadlock, a lock, a server that only reads because another one took over.
    // Also a password that is being changed, and a database that is being restored or has no tables yet.
    /^(08|28|53|57|58|40|3D000|42P01|55P03|25006|25P0[34])/.test(code) ||
    ["ECONNREFUSED", "ECONNRESET", "EPIPE", "ETIMEDOUT", "ENOTFOUND", "EHOSTUNREACH", "EAI_AGAIN"].includes(code) ||
    /timeout exceeded when trying to connect|Connection terminated|Query read timeout|is not queryable/.test(error.message)
  );
}

interface Thrown extends Error {
  readonly statusCode?: number;
  readonly code?: string;
  readonly validation?: readonly { instancePath: string; message?: string }[];
  readonly validationContext?: string;
}

function problemOf(error: Thrown): { code: ProblemCode; detail?: string; errors?: readonly FieldError[] } {
  if (error instanceof ProblemError) return error;
  if (error.validation !== undefined) {
    const at = `/${error.validationContext ?? "body"}`;
    const errors = error.validation.map((it) => ({ pointer: at + it.instancePath, detail: it.message ?? "is wrong" }));
    return { code: "invalid-request", errors };
  }
  if (error.statusCode === 413) return { code: "too-large", detail: error.message };
  if (error.statusCode === 415) return { code: "unsupported-media-type", detail: error.message };
  if (error.statusCode !== undefined && error.statusCode < 500) return { code: "invalid-request", detail: error.message };
  return { code: isOutage(error) ? "unavailable" : "internal" };
}

/** Makes every error a problem document. What broke inside is logged, not told. */
export function installProblems(app: FastifyInstance): void {
  app.setErrorHandler<Thrown>((error, request, reply) => {
    const { code, detail, errors } = problemOf(error);
    const [status] = TITLES[code];
    if (status >= 500) request.log.error({ err: error }, "request failed");
    if (status === 503) reply.header("retry-after", "2");
    return sendProblem(reply, code, detail, errors);
  });
  app.setNotFoundHandler((_, reply) => sendProblem(reply, "not-found", "there is nothing at this address"));
}
