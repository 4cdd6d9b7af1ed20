// Starts a PostgreSQL and the service as it was built, and runs the suites against it, as a pipeline runs them against a candidate:
// `npm run test:…` with BASE_URL. Without names, all of them.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { BILLING, migrate, startPostgres, startService } from "./support/service.mjs";

const suites = process.argv.length > 2 ? process.argv.slice(2) : ["test:billing-parity", "test:normalisation", "test:contract"];
const say = (text) => process.stderr.write(`suites: ${text}\n`);
const failed = [];

say("starting a PostgreSQL of our own");
const postgres = await startPostgres();
try {
  const databaseUrl = await postgres.create("billing");
  await migrate(databaseUrl);
  const service = await startService({ databaseUrl, env: { LOG_LEVEL: "error" } });
  try {
    if (!service.running()) throw new Error(`the service does not start:\n${service.output()}`);
    for (const suite of suites) {
      say(`${suite} against ${service.url}`);
      const child = spawn("npm", ["run", "--silent", suite], {
        cwd: BILLING,
        env: { ...process.env, BASE_URL: service.url },
        stdio: "inherit",
      });
      const [code] = await once(child, "exit");
      if (code !== 0) failed.push(suite);
    }
  } finally {
    const { code } = await service.stop();
    if (code !== 0) failed.push(`the service's end (exit code ${code})`);
    if (failed.length > 0) say(`what the service logged last:\n${service.output().slice(-4000)}`);
  }
} finally {
  await postgres.stop();
}
say(failed.length === 0 ? "all passed" : `failed: ${failed.join(", ")}`);
process.exitCode = failed.length === 0 ? 0 : 1;
