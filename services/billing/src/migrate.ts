import { fileURLToPath } from "node:url";
import pg from "pg";
import { migrate } from "postgres-migrations";

/** Applies the migrations that are missing, each in a transaction, one process at a time (an advisory lock sees to it). */
async function main(): Promise<void> {
  const url = process.env.DATABASE_URL;
  if (!url) throw new Error("DATABASE_URL is missing");
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000, application_name: "billing-migrate" });
  await client.connect();
  try {
    // A migration that cannot have its lock at once would make every request queue behind it: better to fail and try later.
    await client.query("SET lock_timeout = '5s'");
    const applied = await migrate({ client }, fileURLToPath(new URL("../migrations", import.meta.url)));
    for (const { fileName } of applied) process.stdout.write(`applied ${fileName}\n`);
    process.stdout.write(applied.length === 0 ? "nothing to apply\n" : "done\n");
  } finally {
    await client.end();
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`migrate: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
