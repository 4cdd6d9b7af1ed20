import { parse } from "csv-parse/sync";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { ProblemError } from "./problem.js";

/**
 * Reads `text/csv` bodies (RFC 4180, with a header; comma, semicolon or tab), in any charset of the Encoding Standard, into the array
 * of objects that JSON would have been.
 */
export function installCsv(app: FastifyInstance): void {
  app.removeContentTypeParser("text/plain");
  app.addContentTypeParser<Buffer>("text/csv", { parseAs: "buffer" }, async (request: FastifyRequest, body: Buffer) =>
    rowsOf(decode(body, request.headers["content-type"])),
  );
}

function decode(body: Buffer, contentType: string | undefined): string {
  const label = /;\s*charset="?([^";\s]+)"?/i.exec(contentType ?? "")?.[1] ?? "utf-8";
  try {
    return new TextDecoder(label, { fatal: true }).decode(body);
  } catch (error) {
    if (error instanceof RangeError) throw new ProblemError("unsupported-media-type", "this charset is not known");
    throw new ProblemError("invalid-request", "the body is not in its charset: say the right one in Content-Type");
  }
}

// The parser takes a second for a megabyte of commas, in which nobody else is answered, health included: what no table of usage has is
// refused before it is read.
const COLUMNS = 20;
const LONG_LINE = /^[^\r\n]{4001}/m;

function columnsOf(names: string[]): string[] {
  const columns = names.map((name) => name.trim());
  if (columns.length > COLUMNS) throw new Error(`there are more than ${COLUMNS} columns`);
  if (new Set(columns).size < columns.length) throw new Error("a column comes twice");
  return columns;
}

function rowsOf(text: string): unknown {
  if (LONG_LINE.test(text)) throw new ProblemError("invalid-request", "a line has more than 4000 characters");
  const header = text.slice(0, text.search(/[\r\n]|$/));
  const delimiter = [";", "\t", ","].find((sign) => header.includes(sign)) ?? ",";
  try {
    // One row more than is allowed, for the schema to refuse.
    const rows: Record<string, string>[] = parse(text, { columns: columnsOf, delimiter, skip_empty_lines: true, to: 1001 });
    // An empty cell is a column that this row does not have.
    return rows.map((row) => Object.fromEntries(Object.entries(row).filter(([, value]) => value !== "")));
  } catch (error) {
    throw new ProblemError("invalid-request", error instanceof Error ? error.message : "the body is not CSV");
  }
}
