// 500 requests a second for 30 s, on loopback: no error, p99 at most 50 ms, memory flat. `--short` makes it 6 s and holds only what
// a busy machine can hold as well: no error, and half of the rate. Latency and rate there say more about the neighbours than about
// the service; `make bench` holds them.
import autocannon from "autocannon";
import { insistentClientOf } from "../support/client.mjs";
import { migrate, startPostgres, startService } from "../support/service.mjs";

const short = process.argv.includes("--short");
const RATE = 500;
const SECONDS = short ? 6 : 30;
const WARM_UP = short ? 2 : 10;
const P99_MS = 50;
/** The share of the rate that must be reached. */
const SHARE = short ? 0.5 : 0.98;
/** How much higher the median of the last third may be than that of the first: a leak of one request in ten would be seen. */
const GROWTH = 1.1;
const CUSTOMERS = 50;

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

async function prepare(api) {
  const tiers = [{ up_to: "100", unit_price: "0.10" }, { unit_price: "0.08" }];
  const plan = {
    kind: "tiered",
    name: "Traffic",
    currency: "EUR",
    fee: "5.00",
    metric: "traffic",
    unit: "GB",
    mode: "graduated",
    tiers,
  };
  await api("PUT", "/api/plans/load", plan);
  for (let n = 0; n < CUSTOMERS; n += 1) {
    await api("PUT", `/api/customers/load-${n}`, {
      name: `Load ${n}`,
      country: "FR",
      time_zone: "Europe/Paris",
      currency: "EUR",
    });
    await api("PUT", `/api/customers/load-${n}/subscriptions/s`, { plan: "load", from: "2025-01-10" });
  }
}

/** Six of ten record usage, one asks for an invoice, two for a customer, one for health. */
function requests() {
  let n = 0;
  const json = { "content-type": "application/json" };
  const customer = () => `load-${(n * 7) % CUSTOMERS}`;
  const usage = () => {
    n += 1;
    const at = new Date(Date.UTC(2025, 2, 1 + (n % 28), n % 24, n % 60)).toISOString();
    return JSON.stringify([
      {
        key: `k-${n}`,
        customer: customer(),
        metric: "traffic",
        quantity: `${n % 1000},5`,
        unit: "MB",
        at,
      },
    ]);
  };
  const post = { method: "POST", path: "/api/usage", headers: json, setupRequest: (request) => ({ ...request, body: usage() }) };
  const get = (path) => ({ method: "GET", setupRequest: (request) => ({ ...request, path: path() }) });
  const invoice = get(() => `/api/customers/${customer()}/invoices/2025-03/preview`);
  const one = get(() => `/api/customers/${customer()}`);
  return [post, post, one, post, invoice, post, post, one, post, get(() => "/api/health")];
}

async function memoryOf(url) {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(/^process_resident_memory_bytes (\S+)/m.exec(text)[1]) / 2 ** 20;
}

const fire = (url, duration) =>
  autocannon({ url, connections: 20, overallRate: RATE, duration, requests: requests(), timeout: 10 });

const postgres = await startPostgres();
let service;
try {
  const databaseUrl = await postgres.create("billing");
  await migrate(databaseUrl);
  service = await startService({ databaseUrl });
  await prepare(insistentClientOf(service.url));
  await fire(service.url, WARM_UP);
  const memory = [];
  const sampler = setInterval(async () => memory.push(await memoryOf(service.url)), 1_000);
  const result = await fire(service.url, SECONDS);
  clearInterval(sampler);

  const third = Math.max(1, Math.floor(memory.length / 3));
  const [first, last] = [median(memory.slice(0, third)), median(memory.slice(-third))];
  const rate = result.requests.total / result.duration;
  const bars = [
    ["requests a second", rate.toFixed(0), rate >= RATE * SHARE],
    ["errors, time-outs", result.errors + result.timeouts, result.errors + result.timeouts === 0],
    ["answers other than 2xx", result.non2xx, result.non2xx === 0],
    [`p99, ms (p50 ${result.latency.p50}, max ${result.latency.max})`, result.latency.p99, short || result.latency.p99 <= P99_MS],
    [`memory, MiB: first third ${first.toFixed(0)}, last`, last.toFixed(0), short || last <= first * GROWTH],
  ];
  for (const [what, value, held] of bars) process.stdout.write(`${held ? "ok    " : "MISSED"}  ${what}: ${value}\n`);
  if (!bars.every(([, , held]) => held)) process.exitCode = 1;
} finally {
  await service?.stop();
  await postgres.stop();
}
