import { buildApp } from "../dist/app.js";
import { readConfig } from "../dist/config.js";

/** Prints the OpenAPI document of this release. Connects to nothing. */
const config = readConfig({ DATABASE_URL: "postgres://nobody@127.0.0.1:1/none", LOG_LEVEL: "silent" });
const app = await buildApp(config, Date.now);
process.stdout.write(`${JSON.stringify(app.swagger(), null, 2)}\n`);
await app.close();
