// What the tests of tools/*.sh share: running a program to its end, throwaway PostgreSQL clusters, temporary folders.
import { spawn } from "node:child_process";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const tools = fileURLToPath(new URL("../../../../tools", import.meta.url));

// No test waits longer than this for a program, in milliseconds.
const DEADLINE = 30_000;

// Starts a program. `ended` resolves to { code, stdout, stderr }; `code` is a signal's name if one ended it.
export function start(program, args, { env = {}, input = "", cwd } = {}) {
  const child = spawn(program, args, { cwd, env: { ...process.env, ...env }, timeout: DEADLINE, killSignal: "SIGKILL" });
  const text = { stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"]) child[stream].setEncoding("utf8").on("data", (data) => (text[stream] += data));
  // A program that ends early does not read its input.
  child.stdin.on("error", () => {}).end(input);
  const ended = new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve({ code: code ?? signal, ...text }));
  });
  return { child, text, ended };
}

export const run = (program, args, options) => start(program, args, options).ended;

// Runs a program that has to succeed, and returns what it printed.
export async function must(program, args, options) {
  const { code, stdout, stderr } = await run(program, args, options);
  if (code !== 0) throw new Error(`${program} ${args.join(" ")}: ${code}\n${stderr}`);
  return stdout;
}

// A folder that other users may pass through: root's PostgreSQL runs as another one.
export function temporary(t) {
  const folder = mkdtempSync(join(tmpdir(), "schleuse-tools-"));
  chmodSync(folder, 0o755);
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

// A cluster: its superuser's URL, and `sql(text, database)`. The caller stops it.
export async function startCluster() {
  const folder = mkdtempSync(join(tmpdir(), "schleuse-pg-"));
  const stop = () => must(join(tools, "postgres.sh"), ["stop", folder]);
  const url = new URL((await must(join(tools, "postgres.sh"), ["start", folder])).trim());
  const bin = (await must(join(tools, "postgres.sh"), ["bin"])).trim();
  const of = (database, user, password) => {
    const other = new URL(url);
    other.pathname = `/${database}`;
    if (user) [other.username, other.password] = [user, encodeURIComponent(password)];
    return other.href;
  };
  const env = { PGPASSWORD: url.password };
  const place = ["-h", url.hostname, "-p", url.port, "-U", url.username, "-d"];
  const sql = (text, database = "postgres") =>
    must(join(bin, "psql"), ["-X", "-A", "-t", "-q", "-w", "-v", "ON_ERROR_STOP=1", ...place, database], { env, input: text });
  // Without the random word that pg_dump puts into every dump.
  const dump = async (database) =>
    (await must(join(bin, "pg_dump"), ["-w", ...place, database], { env })).replace(/^\\(un)?restrict .*$/gm, "");
  return { folder, port: url.port, url: of, sql, dump, stop };
}

// The command lines of every process of this machine.
export function commandLines() {
  return readdirSync("/proc").flatMap((pid) => {
    try {
      return /^\d+$/.test(pid) ? [readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ")] : [];
    } catch {
      return []; // It ended in between.
    }
  });
}
