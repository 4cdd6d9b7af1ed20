import pg from "pg";

export type Queryable = pg.Pool | pg.PoolClient;

// A calendar date stays the text it is: as a `Date` it would move with the process's time zone.
pg.types.setTypeParser(pg.types.builtins.DATE, (text) => text);

/** The longest that a question waits for a connection, and that a statement may run, in milliseconds. */
export const PATIENT = { connect: 2_000, statement: 5_000 };
/** For health: together below the two seconds that probes wait, since a check that hangs says less than one that answers. */
export const BRISK = { connect: 700, statement: 700 };

export function openPool(databaseUrl: string, max: number, wait: typeof PATIENT, onError: (error: Error) => void): pg.Pool {
  const pool = new pg.Pool({
    connectionString: databaseUrl,
    max,
    connectionTimeoutMillis: wait.connect,
    statement_timeout: wait.statement,
    // The server may be gone without a word: the client gives up by itself, a little later.
    query_timeout: wait.statement * 1.2,
    idle_in_transaction_session_timeout: wait.statement * 2,
    keepAlive: true,
    application_name: "billing",
  });
  // An idle connection that breaks is replaced by the pool; without a listener it would end the process.
  pool.on("error", onError);
  // One that breaks while a request has it says so twice: to the query that runs, and by this event, which nobody else hears.
  pool.on("connect", (client) => client.on("error", () => undefined));
  return pool;
}

/** Runs `work` in one transaction: all of it or nothing. */
export async function transaction<T>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  try {
    await client.query("BEGIN");
    const result = await work(client);
    await client.query("COMMIT");
    return result;
  } catch (error) {
    // Who did not answer the last question does not answer the next: to ask would be to wait as long again.
    if (error instanceof Error && error.message === "Query read timeout") broken = error;
    else
      await client.query("ROLLBACK").catch((rollback: Error) => {
        broken = rollback;
      });
    throw error;
  } finally {
    client.release(broken);
  }
}

/** The one row of a query that always has one. */
export function only<T>(rows: readonly T[]): T {
  const [row] = rows;
  if (row === undefined) throw new Error("a query that always has a row had none");
  return row;
}
