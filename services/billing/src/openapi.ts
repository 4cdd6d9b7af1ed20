import { buildApp } from "./app.js";
import { readConfig } from "./config.js";
import { openPool } from "./store/pool.js";

/** Prints the OpenAPI document of this release. Connects to nothing: a pool connects with its first query. */
const config = readConfig({ DATABASE_URL: "postgres://nobody@127.0.0.1:1/none", LOG_LEVEL: "silent" });
const pool = openPool(config.databaseUrl, 1, () => undefined);
const app = await buildApp(config, pool, Date.now);
process.stdout.write(`${JSON.stringify(app.swagger(), null, 2)}\n`);
await app.close();
