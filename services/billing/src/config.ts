import { createRequire } from "node:module";
import { isEu } from "./domain/vat.js";

export interface Config {
  readonly host: string;
  readonly port: number;
  /** Has a password in it: never logged. */
  readonly databaseUrl: string;
  readonly databaseConnections: number;
  readonly sellerCountry: string;
  readonly logLevel: string;
  readonly release: Release;
}

/** Which release this is, as /api/health reports it. */
export interface Release {
  readonly version: string;
  readonly commit: string | null;
  /** Who deploys knows the image's digest; the image cannot contain it. */
  readonly digest: string | null;
}

/** package.json stands beside `dist` in the image too. */
const packageVersion: string = createRequire(import.meta.url)("../package.json").version;

export class ConfigError extends Error {}

/** Whether its escapes are UTF-8: the driver reads them with the first connection, too late for a mistake in a setting. */
function isDecodable(address: string): boolean {
  try {
    decodeURIComponent(address);
    return true;
  } catch {
    return false;
  }
}

/** The settings in `env`. An empty variable counts as not set. Throws a `ConfigError` that names every mistake. */
export function readConfig(env: NodeJS.ProcessEnv): Config {
  const mistakes: string[] = [];
  const text = (name: string) => env[name] || undefined;
  const number = (name: string, fallback: number, least: number, most: number) => {
    const value = text(name) ?? String(fallback);
    if (/^\d{1,6}$/.test(value) && Number(value) >= least && Number(value) <= most) return Number(value);
    mistakes.push(`${name} must be a whole number from ${least} to ${most}`);
    return fallback;
  };
  const databaseUrl = text("DATABASE_URL");
  if (databaseUrl === undefined) mistakes.push("DATABASE_URL is missing, such as postgres://user:password@host:5432/billing");
  else if (!URL.canParse(databaseUrl) || !/^postgres(ql)?:/.test(databaseUrl) || !isDecodable(databaseUrl)) {
    mistakes.push("DATABASE_URL is not a postgres:// address");
  }
  const sellerCountry = text("SELLER_COUNTRY") ?? "DE";
  if (!isEu(sellerCountry)) mistakes.push("SELLER_COUNTRY must be an EU country's two letters, such as DE");
  const logLevel = text("LOG_LEVEL") ?? "info";
  if (!/^(fatal|error|warn|info|debug|trace|silent)$/.test(logLevel)) mistakes.push("LOG_LEVEL must be such as info or warn");
  const config: Config = {
    host: text("HOST") ?? "0.0.0.0",
    port: number("PORT", 3000, 0, 65535),
    databaseUrl: databaseUrl ?? "",
    databaseConnections: number("DATABASE_CONNECTIONS", 10, 1, 100),
    sellerCountry,
    logLevel,
    release: {
      version: text("APP_VERSION") ?? packageVersion,
      commit: text("APP_COMMIT") ?? null,
      // Schleuse's targets tell a release its digest by the second name.
      digest: text("IMAGE_DIGEST") ?? text("SCHLEUSE_DIGEST") ?? null,
    },
  };
  if (mistakes.length > 0) throw new ConfigError(mistakes.join("; "));
  return config;
}
