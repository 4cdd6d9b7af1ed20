import type { Queryable } from "./pool.js";

/** The schema that this release was written for: the number of its last migration. */
export const SCHEMA = 1;

export interface SchemaVersion {
  readonly version: number;
  /** The oldest release schema that still works on this one. */
  readonly works_for: number;
}

/** Why this release cannot work on a schema, or nothing if it can. A newer schema is fine as far as it says so itself. */
export function schemaFault(found: SchemaVersion | undefined): string | undefined {
  if (found === undefined) return "the database has no schema: run the migrations";
  if (found.version < SCHEMA) return `the database has schema ${found.version}, this release needs ${SCHEMA}: run the migrations`;
  if (found.works_for > SCHEMA) {
    return `the database has schema ${found.version}, which works for releases from schema ${found.works_for} on, and this one has ${SCHEMA}`;
  }
  return undefined;
}

/** What the database says of its schema. Throws where it does not answer; no schema at all is an answer. */
export async function findSchema(database: Queryable): Promise<SchemaVersion | undefined> {
  try {
    const { rows } = await database.query<SchemaVersion>("SELECT version, works_for FROM schema_version");
    return rows[0];
  } catch (error) {
    const undefinedTable = "42P01";
    if (error instanceof Error && "code" in error && error.code === undefinedTable) return undefined;
    throw error;
  }
}
