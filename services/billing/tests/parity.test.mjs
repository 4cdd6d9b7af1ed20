// Billing parity: a fixed set of accounts, billed by the running service, compared to the cent with what the reference
// implementation (parity/reference.py) says. Safe to run again and beside other data: the accounts are all named `parity-…`, each
// request is idempotent, and invoices are previewed, which computes anew and stores nothing.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { baseUrl, inParallel, insistentClientOf } from "./support/client.mjs";

const read = (name) => readFileSync(new URL(`../parity/${name}`, import.meta.url), "utf8");
const lines = (name) =>
  read(name)
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));

const plans = JSON.parse(read("plans.json"));
const all = lines("accounts.jsonl");
const allExpected = lines("expected.jsonl");
// A quick look takes each nth account, and says so; a gate takes them all.
const every = Number(process.env.PARITY_EVERY || 1);
const accounts = all.filter((_, at) => at % every === 0);
const chosen = new Set(accounts.map(({ customer }) => customer.id));
const expected = allExpected.filter(({ customer }) => chosen.has(customer));
const api = insistentClientOf(baseUrl());
const WIDTH = 8;

test(`${accounts.length} of ${all.length} accounts, ${expected.length} invoices`, async (t) => {
  assert.ok(all.length >= 200, "the fixed set has at least 200 accounts");
  assert.equal(expected.length, accounts.length * 3, "of three months each");
  assert.ok(accounts.length > 0, "PARITY_EVERY leaves none");

  // Testing the old release by accident would be worse than not testing: who knows the version says it.
  const { EXPECTED_VERSION } = process.env;
  if (EXPECTED_VERSION) {
    await t.test(`the release under test is ${EXPECTED_VERSION}`, async () => {
      assert.equal((await api("GET", "/api/health")).version, EXPECTED_VERSION);
    });
  }

  const used = new Set(accounts.flatMap(({ subscriptions }) => subscriptions.map(({ plan }) => plan)));
  const metrics = new Set(accounts.flatMap(({ usage }) => usage.map(({ metric }) => metric.normalize("NFC").trim())));
  const needed = plans.filter(({ id, metric }) => used.has(id) || metrics.has(metric));
  await inParallel(needed, WIDTH, ({ id, ...terms }) => api("PUT", `/api/plans/${id}`, terms));
  await inParallel(accounts, WIDTH, async ({ customer: { id, ...customer }, subscriptions, usage }) => {
    await api("PUT", `/api/customers/${id}`, customer);
    for (const { id: subscription, ...rest } of subscriptions) {
      await api("PUT", `/api/customers/${id}/subscriptions/${subscription}`, rest);
    }
    if (usage.length > 0)
      await api(
        "POST",
        "/api/usage",
        usage.map((record) => ({ ...record, customer: id })),
      );
  });

  const different = [];
  await inParallel(expected, WIDTH, async (wanted) => {
    const draft = await api("GET", `/api/customers/${wanted.customer}/invoices/${wanted.month}/preview`);
    const got = {
      customer: draft.customer,
      month: draft.month,
      currency: draft.currency,
      lines: draft.lines.map(({ subscription, kind, amount }) => ({ subscription, kind, amount })),
      net: draft.net,
      tax: { treatment: draft.tax.treatment, country: draft.tax.country, rate: draft.tax.rate, amount: draft.tax.amount },
      total: draft.total,
      unbilled: draft.unbilled.map(({ metric, quantity, unit }) => ({ metric, quantity, unit })),
    };
    try {
      assert.deepEqual(got, wanted);
    } catch (error) {
      different.push(`${wanted.customer} ${wanted.month}: ${error.message}`);
    }
  });
  await t.test("every invoice equals the reference's, to the cent", () => {
    assert.equal(different.length, 0, `${different.length} of ${expected.length} differ; the first:\n${different.sort()[0]}`);
  });
});
