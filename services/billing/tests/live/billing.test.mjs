// Usage that comes in at once, twice, late or wrong, and invoices that are issued meanwhile: what counts, counts once, and an invoice
// has all that was taken before it and nothing else.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { inParallel } from "../support/client.mjs";
import {
  assertProblem,
  CUSTOMER,
  FUTURE,
  MONTH,
  PLAN,
  session,
  startBilling,
  starts,
  USAGE,
  waiting,
  whileLocked,
} from "../support/live.mjs";

const started = starts();
let service, databaseUrl, log, api, call, beside;
let customers = 0;
/** Answers with 503, which a test asked for. */
let failures = 0;
const nextId = () => {
  customers += 1;
  return `customer-${customers}`;
};

/** A new customer, subscribed to the plan `traffic`. */
async function subscribed(changes = {}, plan = "traffic") {
  const id = nextId();
  await api("PUT", `/api/customers/${id}`, { ...CUSTOMER, ...changes });
  await api("PUT", `/api/customers/${id}/subscriptions/s`, { plan, from: "2025-01-01" });
  return id;
}
const records = (customer, keys, changes = {}) => keys.map((key) => ({ ...USAGE, customer, key, ...changes }));
const numbered = (count, prefix = "k") => Array.from({ length: count }, (_, at) => `${prefix}${at}`);
const preview = (customer, month = MONTH) => api("GET", `/api/customers/${customer}/invoices/${month}/preview`);
const results = ({ items }) => items.map(({ result }) => result);

before(async () => {
  ({ service, databaseUrl, log, api, call } = await startBilling(started, { LOG_LEVEL: "error" }));
  await api("PUT", "/api/plans/traffic", PLAN);
  beside = await session(started, databaseUrl);
});
after(() => started.end());

describe("usage", () => {
  test("the same key counts once: in one request, and in the next", async () => {
    const customer = await subscribed();
    const one = { ...USAGE, customer, key: "k" };
    assert.deepEqual(results(await api("POST", "/api/usage", [one, one])), ["recorded", "duplicate"]);
    assert.deepEqual(results(await api("POST", "/api/usage", [one, { ...one, quantity: "1000", unit: "MB" }])), [
      "duplicate",
      "duplicate",
    ]);
    const { net, unbilled } = await preview(customer);
    assert.deepEqual([net, unbilled], ["1.00", []]);
  });
  test("a key is the customer's own", async () => {
    const two = [await subscribed(), await subscribed()];
    const sent = two.flatMap((customer) => records(customer, ["k"]));
    assert.deepEqual(results(await api("POST", "/api/usage", sent)), ["recorded", "recorded"]);
    for (const customer of two) assert.equal((await preview(customer)).net, "1.00");
  });
  test("a batch of new, old and repeated records: each counts once", async () => {
    const customer = await subscribed();
    await api("POST", "/api/usage", records(customer, ["a", "c"]));
    const mixed = await api("POST", "/api/usage", records(customer, ["a", "b", "c", "d", "b"]));
    assert.deepEqual(results(mixed), ["duplicate", "recorded", "duplicate", "recorded", "duplicate"]);
    assert.equal((await preview(customer)).net, "4.00");
  });
  test("thirty requests with the same records at once count once", async () => {
    const customer = await subscribed();
    const sent = records(customer, numbered(20));
    const answers = await Promise.all(Array.from({ length: 30 }, () => api("POST", "/api/usage", sent)));
    for (const at of sent.keys()) {
      const told = answers.map(({ items }) => items[at].result).sort();
      assert.deepEqual(told, [...Array(29).fill("duplicate"), "recorded"], `record ${at}`);
    }
    assert.equal((await preview(customer)).net, "20.00");
  });
  test("two requests with the same keys in another order do not lock each other out", async () => {
    const customer = await subscribed();
    for (let round = 0; round < 3; round += 1) {
      const sent = records(customer, numbered(1000, `r${round}-`));
      const [one, other] = await Promise.all([sent, sent.toReversed()].map((body) => call("POST", "/api/usage", body)));
      assert.deepEqual([one.status, other.status], [200, 200], JSON.stringify([one.body, other.body]).slice(0, 500));
    }
    assert.equal((await preview(customer)).net, "3000.00");
  });
  test("requests for several customers in any order do not lock each other out, nor the invoices", async () => {
    const four = await Promise.all(Array.from({ length: 4 }, () => subscribed()));
    const answers = await inParallel(numbered(24), 8, async (key) => {
      const mine = four.toSorted(() => Math.random() - 0.5);
      if (key.endsWith("3")) return call("PUT", `/api/customers/${mine[0]}/invoices/2025-01`);
      return call(
        "POST",
        "/api/usage",
        mine.flatMap((customer) => records(customer, [key, `${key}b`])),
      );
    });
    for (const { status, body } of answers) assert.ok(status < 300, JSON.stringify(body));
  });
  test("the same key with another record is refused, and nothing of the request is recorded", async () => {
    const customer = await subscribed();
    await api("PUT", "/api/plans/storage", { ...PLAN, metric: "storage" });
    await api("POST", "/api/usage", records(customer, ["k"]));
    for (const change of [{ quantity: "2" }, { at: "2025-03-10T12:00:00.001Z" }, { metric: "storage" }, { unit: "GiB" }]) {
      const answer = await call("POST", "/api/usage", [...records(customer, ["new"]), ...records(customer, ["k"], change)]);
      const { errors } = assertProblem(answer, 409, "key-reused");
      assert.deepEqual(
        errors.map(({ pointer }) => pointer),
        ["/body/1/key"],
      );
    }
    // Within one request, too.
    const [first] = records(customer, ["twice"]);
    assertProblem(await call("POST", "/api/usage", [first, { ...first, quantity: "2" }]), 409, "key-reused");
    assert.equal((await preview(customer)).net, "1.00");
  });
  test("one record of a thousand is wrong: nothing is recorded, and its place is named", async () => {
    const customer = await subscribed();
    const sent = records(customer, numbered(1000));
    for (const [change, status, code, pointer] of [
      [{ quantity: "1,234" }, 422, "unprocessable", "/body/777/quantity"],
      [{ metric: "never-heard-of" }, 422, "unprocessable", "/body/777/metric"],
      [{ unit: "h" }, 422, "unprocessable", "/body/777/metric"],
      [{ customer: "nobody" }, 422, "unprocessable", "/body/777/customer"],
      [{ quantity: 1 }, 400, "invalid-request", "/body/777/quantity"],
    ]) {
      const answer = await call("POST", "/api/usage", sent.with(777, { ...sent[777], ...change }));
      assert.equal(assertProblem(answer, status, code).errors[0].pointer, pointer);
    }
    assert.equal((await preview(customer)).net, "0.00");
    assertProblem(await call("POST", "/api/usage", [...sent, ...records(customer, ["too-many"])]), 400, "invalid-request");
    assert.ok(results(await api("POST", "/api/usage", sent)).every((result) => result === "recorded"));
    assert.equal((await preview(customer)).net, "1000.00");
  });
  test("the largest quantities, a thousand times: the sum and its price are exact", async () => {
    await api("PUT", "/api/plans/dear", { ...PLAN, metric: "huge", unit: "B", unit_price: "999999999999.999999999", fee: "0" });
    const customer = await subscribed({}, "dear");
    const most = "999999999999999999.999999999";
    await api("POST", "/api/usage", records(customer, numbered(1000), { metric: "huge", unit: "B", quantity: most }));
    const exact = 1000n * (10n ** 27n - 1n) * (10n ** 21n - 1n); // × 10⁻¹⁸
    const cents = (exact + 5n * 10n ** 15n) / 10n ** 16n;
    const { net } = await preview(customer);
    assert.equal(net, String(cents).replace(/(\d\d)$/, ".$1"));
    const issued = await api("PUT", `/api/customers/${customer}/invoices/${MONTH}`);
    assert.equal(issued.net, net);
  });
  test("a page ends with the key that the next one begins after", async () => {
    const customer = await subscribed();
    // The order is that of the bytes, of the form in which keys are stored.
    const keys = [...numbered(220), "Ü", "ü", "z", "~", "\u{1f600}", "\uffee", "e\u0301", "\u0958".repeat(64)];
    const { items } = await api("POST", "/api/usage", records(customer, keys));
    const seen = [];
    for (let more = true; more; ) {
      const query = `month=${MONTH}${seen.length > 0 ? `&after=${encodeURIComponent(seen.at(-1))}` : ""}`;
      const page = (await api("GET", `/api/customers/${customer}/usage?${query}`)).items;
      seen.push(...page.map(({ key }) => key));
      more = page.length === 100;
    }
    const bytes = (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b));
    assert.deepEqual(seen, items.map(({ key }) => key).sort(bytes));
  });
  test("what was taken can be sent again as it came out, and a page can begin after it, also where it grew", async () => {
    // Each of these is two characters in NFC. That such a name is refused is as good.
    const [key, metric] = ["\u0958".repeat(128), "\u0958".repeat(64)];
    const plan = await call("PUT", "/api/plans/grown", { ...PLAN, metric });
    const customer = await subscribed();
    const sent = records(customer, [key], { metric: plan.status < 300 ? metric : "traffic" });
    const first = await call("POST", "/api/usage", sent);
    for (const { status } of [plan, first]) assert.ok([200, 201, 400, 422].includes(status), String(status));
    for (const { result, ...canonical } of first.body.items ?? []) {
      const again = await call("POST", "/api/usage", [canonical]);
      assert.equal(again.status, 200, JSON.stringify(again.body));
      assert.deepEqual([result, results(again.body)], ["recorded", ["duplicate"]]);
      await api("GET", `/api/customers/${customer}/usage?month=${MONTH}&after=${encodeURIComponent(canonical.key)}`);
    }
  });
  test("bytes that are no UTF-8 are refused: two keys must not become one", async () => {
    const customer = await subscribed();
    for (const letter of ["é", "è"]) {
      const body = Buffer.from(JSON.stringify(records(customer, [`caf${letter}`])), "latin1");
      assertProblem(await call("POST", "/api/usage", body, { "content-type": "application/json" }), 422, "unprocessable");
    }
    assert.equal((await preview(customer)).net, "0.00");
  });
});

describe("a month that is invoiced", () => {
  test("takes no usage, by the customer's clocks; what it has is still a duplicate", async () => {
    const customer = await subscribed();
    // The last millisecond of March in Berlin, and the first of April.
    const [last, next] = ["2025-03-31T21:59:59.999Z", "2025-03-31T22:00:00Z"];
    const old = records(customer, ["old"], { at: last });
    await api("POST", "/api/usage", [
      ...old,
      ...records(customer, ["april"], { at: next }),
      ...records(customer, ["february"], { at: "2025-02-28T22:59:59.999Z" }),
    ]);
    const issued = await api("PUT", `/api/customers/${customer}/invoices/${MONTH}`);
    const late = await call("POST", "/api/usage", [
      ...records(customer, ["next"], { at: next }),
      ...records(customer, ["late"], { at: last }),
      ...records(customer, ["first"], { at: "2025-02-28T23:00:00Z" }),
      ...old,
    ]);
    const { errors } = assertProblem(late, 409, "month-closed");
    assert.deepEqual(errors.map(({ pointer }) => pointer).sort(), ["/body/1/at", "/body/2/at"]);
    assert.deepEqual(results(await api("POST", "/api/usage", old)), ["duplicate"]);
    assert.deepEqual(results(await api("POST", "/api/usage", [...old, ...records(customer, ["next"], { at: next })])), [
      "duplicate",
      "recorded",
    ]);
    assert.deepEqual(
      results(await api("POST", "/api/usage", records(customer, ["before"], { at: "2025-02-28T22:59:59.999Z" }))),
      ["recorded"],
    );
    assertProblem(await call("POST", "/api/usage", records(customer, ["old"], { at: next })), 409, "key-reused");
    assert.deepEqual(await api("GET", `/api/customers/${customer}/invoices/${MONTH}`), issued);
    assert.deepEqual([issued.net, issued.unbilled], ["1.00", []]);
  });
  test("usage and invoice at once: the invoice has what was taken, all of it and nothing else", async () => {
    let [mixed, rounds] = [0, 0];
    for (; rounds < 12 || (mixed < 3 && rounds < 60); rounds += 1) {
      const customer = await subscribed();
      const issued = sleep(Math.random() * 12).then(() => api("PUT", `/api/customers/${customer}/invoices/${MONTH}`));
      const answers = await Promise.all(
        Array.from({ length: 8 }, async (_, at) => {
          await sleep(at * 2);
          return call("POST", "/api/usage", records(customer, [`k${at}`], { quantity: String(2 ** at) }));
        }),
      );
      const taken = answers.map(({ status }) => status === 200);
      for (const answer of answers.filter(({ status }) => status !== 200)) assertProblem(answer, 409, "month-closed");
      const sum = taken.reduce((total, yes, at) => total + (yes ? 2 ** at : 0), 0);
      const invoice = await issued;
      assert.equal(invoice.net, `${sum}.00`, `round ${rounds}: taken ${taken}`);
      assert.deepEqual(await api("GET", `/api/customers/${customer}/invoices/${MONTH}`), invoice);
      assert.equal((await preview(customer)).net, invoice.net, "usage was recorded that the invoice has not");
      if (taken.includes(true) && taken.includes(false)) mixed += 1;
    }
    assert.ok(mixed >= 3, `only ${mixed} of ${rounds} rounds had usage before and after the invoice`);
  });
  test("usage that waits for an invoice is refused by it, and an invoice that waits for usage has it", async () => {
    const [late, early] = [await subscribed(), await subscribed()];
    const slow = (customer, work) => whileLocked(beside, `SELECT 1 FROM customers WHERE id = '${customer}' FOR UPDATE`, work);
    let answers;
    await slow(late, async () => {
      const invoice = call("PUT", `/api/customers/${late}/invoices/${MONTH}`);
      await waiting(beside);
      const usage = call("POST", "/api/usage", records(late, ["k"]));
      await waiting(beside, 2);
      answers = [invoice, usage];
    });
    const [invoice, usage] = await Promise.all(answers);
    assert.deepEqual([invoice.status, invoice.body.net], [201, "0.00"]);
    assertProblem(usage, 409, "month-closed");
    await slow(early, async () => {
      const usage = call("POST", "/api/usage", records(early, ["k"]));
      await waiting(beside);
      answers = [usage, waiting(beside, 2).then(() => undefined), call("PUT", `/api/customers/${early}/invoices/${MONTH}`)];
      await answers[1];
    });
    const [taken, , has] = await Promise.all(answers);
    assert.deepEqual([taken.status, has.status, has.body.net], [200, 201, "1.00"]);
  });
  test("subscriptions do not change it either", async () => {
    const customer = await subscribed();
    await api("PUT", `/api/customers/${customer}/invoices/${MONTH}`);
    const put = (id, from, until, plan = "base") =>
      call("PUT", `/api/customers/${customer}/subscriptions/${id}`, { plan, from, ...(until && { until }) });
    await api("PUT", "/api/plans/base", { kind: "flat", name: "Base", currency: "EUR", fee: "10" });
    for (const [id, from, until] of [
      ["new", "2025-01-01"],
      ["new", "2025-03-31", "2025-04-01"],
      ["new", "2025-03-01", "2025-03-02"],
    ]) {
      assertProblem(await put(id, from, until), 409, "month-closed", `${from} ${until}`);
    }
    for (const until of ["2025-03-31", "2025-02-01"]) {
      assertProblem(await put("s", "2025-01-01", until, "traffic"), 409, "month-closed", until);
    }
    // Beside it, and up to its edges.
    assert.equal((await put("before", "2025-02-01", "2025-03-01")).status, 201);
    assert.equal((await put("behind", "2025-04-01")).status, 201);
    assert.equal((await put("s", "2025-01-01", "2025-04-01", "traffic")).status, 200);
    assert.equal((await put("s", "2025-01-01", undefined, "traffic")).status, 200);
    assert.deepEqual((await preview(customer)).lines, []);
  });
});

describe("invoices", () => {
  test("twenty requests at once issue one", async () => {
    const customer = await subscribed();
    await api("POST", "/api/usage", records(customer, ["k"]));
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => call("PUT", `/api/customers/${customer}/invoices/${MONTH}`)),
    );
    assert.deepEqual(answers.map(({ status }) => status).sort(), [...Array(19).fill(200), 201]);
    for (const { body } of answers) assert.deepEqual(body, answers[0].body);
    const { items } = await api("GET", `/api/customers/${customer}/invoices`);
    assert.deepEqual(items, [answers[0].body]);
  });
  test("numbers have no gaps, however many are issued at once, and whatever is refused or fails in between", async () => {
    const number = ({ number }) => Number(/^INV-(\d{8,})$/.exec(number)[1]);
    const first = number(await api("PUT", `/api/customers/${await subscribed()}/invoices/${MONTH}`));
    const many = await inParallel(Array(20).fill({}), 8, () => subscribed());
    // A disk that is full as this customer's invoice is written, with its number already taken.
    const unlucky = await subscribed();
    await beside.query(`
      CREATE FUNCTION no_space() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no space left' USING ERRCODE = '53100'; END $$;
      CREATE TRIGGER no_space AFTER INSERT ON invoices FOR EACH ROW WHEN (new.customer = '${unlucky}') EXECUTE FUNCTION no_space()`);
    const numbers = [];
    await inParallel([...many, ...many], 12, async (customer) => {
      const answer = await call("PUT", `/api/customers/${customer}/invoices/${MONTH}`);
      assert.ok(answer.status < 300, JSON.stringify(answer.body));
      numbers.push(number(answer.body));
      if (numbers.length % 2) return;
      assertProblem(await call("PUT", `/api/customers/${customer}/invoices/${FUTURE}`), 409, "month-not-over");
      assertProblem(await call("PUT", `/api/customers/${unlucky}/invoices/${MONTH}`), 503, "unavailable");
      failures += 1;
    });
    assert.deepEqual(
      [...new Set(numbers)].sort((a, b) => a - b),
      many.map((_, at) => first + 1 + at),
    );
    await beside.query("DROP FUNCTION no_space CASCADE");
    assert.equal(number(await api("PUT", `/api/customers/${unlucky}/invoices/${MONTH}`)), first + many.length + 1);
  });
  test("a month that is not over has a preview and no invoice", async () => {
    const customer = await subscribed();
    const now = new Date();
    const zone = { timeZone: CUSTOMER.time_zone, year: "numeric", month: "2-digit" };
    const month = new Intl.DateTimeFormat("sv-SE", zone).format(now);
    for (const open of [month, FUTURE]) {
      assertProblem(await call("PUT", `/api/customers/${customer}/invoices/${open}`), 409, "month-not-over");
      assert.equal((await preview(customer, open)).month, open);
      assertProblem(await call("GET", `/api/customers/${customer}/invoices/${open}`), 404, "not-found");
    }
    for (const month of ["2023-12", "2025-13", "2025-00", "25-01", "2100-01", "2025-1"]) {
      assertProblem(await call("PUT", `/api/customers/${customer}/invoices/${month}`), 400, "invalid-request");
    }
    assertProblem(await call("PUT", `/api/customers/nobody/invoices/${MONTH}`), 404, "not-found");
  });
  test("stay as they were issued, whatever becomes of the customer", async () => {
    const customer = await subscribed();
    await api("POST", "/api/usage", records(customer, ["k"]));
    const issued = await api("PUT", `/api/customers/${customer}/invoices/${MONTH}`);
    await api("PUT", `/api/customers/${customer}`, { ...CUSTOMER, country: "FR", vat_id: "FR12345678901", name: "Autre" });
    assert.deepEqual(await api("PUT", `/api/customers/${customer}/invoices/${MONTH}`), issued);
    assert.equal((await preview(customer)).tax.treatment, "reverse_charge");
  });
  test("are listed, the newest months first", async () => {
    const customer = await subscribed();
    const months = ["2025-02", "2024-12", "2025-01"];
    for (const month of months) await api("PUT", `/api/customers/${customer}/invoices/${month}`);
    const list = async (query = "") =>
      (await api("GET", `/api/customers/${customer}/invoices${query}`)).items.map(({ month }) => month);
    assert.deepEqual(await list(), months.toSorted().reverse());
    assert.deepEqual(await list("?before=2025-01"), ["2024-12"]);
  });
});

describe("customers, plans, subscriptions", () => {
  test("a plan never changes; the same terms again are a success", async () => {
    const tiers = [{ up_to: "10", unit_price: "1" }, { unit_price: "0.5" }];
    const terms = { ...PLAN, kind: "tiered", mode: "graduated", tiers };
    const { unit_price, ...tiered } = terms;
    const put = (changes = {}) => call("PUT", "/api/plans/fixed", { ...tiered, ...changes });
    assert.deepEqual([(await put()).status, (await put()).status], [201, 200]);
    assert.equal((await put({ metric: " traffic " })).status, 200);
    for (const change of [
      { name: "Other" },
      { fee: "1" },
      { mode: "volume" },
      { tiers: tiers.with(0, { ...tiers[0], up_to: "11" }) },
      { tiers: tiers.slice(1) },
      { metric: "traffic2" },
      { unit: "GiB" },
    ]) {
      assertProblem(await put(change), 409, "conflict", JSON.stringify(change));
    }
    assertProblem(await call("PUT", "/api/plans/fixed", { kind: "flat", name: "x", currency: "EUR", fee: "0" }), 409, "conflict");
    assert.deepEqual(await api("GET", "/api/plans/fixed"), { ...tiered, id: "fixed" });
    // The metric of the refused plan is not taken.
    assert.equal((await call("PUT", "/api/plans/hours", { ...PLAN, metric: "traffic2", unit: "h" })).status, 201);
  });
  test("twenty requests at once create one plan, with one of their terms", async () => {
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, at) =>
        call("PUT", "/api/plans/raced", { ...PLAN, name: `N${at % 4}`, metric: `raced-${at % 2}` }),
      ),
    );
    const statuses = answers.map(({ status }) => status).sort();
    assert.deepEqual(statuses, [...Array(4).fill(200), 201, ...Array(15).fill(409)]);
    const kept = await api("GET", "/api/plans/raced");
    for (const { status, body } of answers) if (status < 300) assert.deepEqual(body, kept);
  });
  test("a metric has one dimension for ever, whoever comes first", async () => {
    await api("PUT", "/api/plans/calls", { ...PLAN, metric: "calls", unit: "count" });
    for (const unit of ["GB", "h", "EUR"]) {
      assertProblem(await call("PUT", `/api/plans/calls-2`, { ...PLAN, metric: "calls", unit }), 409, "conflict", unit);
    }
    assert.equal((await call("PUT", "/api/plans/calls-3", { ...PLAN, metric: "calls", unit: "million" })).status, 201);
    const units = ["GB", "h", "count", "EUR"];
    const raced = await Promise.all(
      Array.from({ length: 16 }, (_, at) => call("PUT", `/api/plans/dim-${at}`, { ...PLAN, metric: "dim", unit: units[at % 4] })),
    );
    const won = new Set(raced.flatMap(({ status, body }) => (status === 201 ? [body.unit] : [])));
    assert.equal(won.size, 1, [...won].join());
    assert.equal(raced.filter(({ status }) => status === 409).length, 12);
  });
  test("subscriptions to plans of one metric do not overlap; others may", async () => {
    const customer = nextId();
    await api("PUT", `/api/customers/${customer}`, CUSTOMER);
    await api("PUT", "/api/plans/traffic-2", { ...PLAN, name: "Traffic 2" });
    await api("PUT", "/api/plans/flat", { kind: "flat", name: "Flat", currency: "EUR", fee: "1" });
    const put = (id, plan, from, until) =>
      call("PUT", `/api/customers/${customer}/subscriptions/${id}`, { plan, from, ...(until && { until }) });
    assert.equal((await put("a", "traffic", "2025-02-01", "2025-04-01")).status, 201);
    for (const [from, until] of [
      ["2025-01-01"],
      ["2025-03-31"],
      ["2025-03-31", "2025-05-01"],
      ["2025-01-01", "2025-02-02"],
      ["2025-02-10", "2025-02-11"],
    ]) {
      assertProblem(await put("b", "traffic-2", from, until), 409, "conflict", `${from} ${until}`);
    }
    assert.equal((await put("b", "traffic-2", "2025-04-01", "2025-05-01")).status, 201);
    assert.equal((await put("c", "traffic", "2025-01-01", "2025-02-01")).status, 201);
    // The end moves, but not into the next one; back again is fine.
    assertProblem(await put("a", "traffic", "2025-02-01"), 409, "conflict");
    assertProblem(await put("a", "traffic", "2025-02-01", "2025-04-02"), 409, "conflict");
    assert.equal((await put("a", "traffic", "2025-02-01", "2025-03-15")).status, 200);
    assert.equal((await put("a", "traffic", "2025-02-01", "2025-04-01")).status, 200);
    for (const [plan, from] of [
      ["traffic-2", "2025-02-01"],
      ["traffic", "2025-02-02"],
    ]) {
      assertProblem(await put("a", plan, from, "2025-04-01"), 409, "conflict");
    }
    for (const id of ["flat-1", "flat-2"]) assert.equal((await put(id, "flat", "2025-01-01")).status, 201);
    // At once: one of them.
    const raced = await Promise.all(Array.from({ length: 12 }, (_, at) => put(`r${at}`, "traffic", "2025-06-01")));
    assert.deepEqual(raced.map(({ status }) => status).sort(), [201, ...Array(11).fill(409)]);
  });
  test("dates that make no sense, plans and customers that are not there", async () => {
    const customer = await subscribed();
    const put = (body, id = customer) => call("PUT", `/api/customers/${id}/subscriptions/x`, { plan: "traffic", ...body });
    for (const [from, until] of [
      ["2025-01-01", "2025-01-01"],
      ["2025-01-02", "2025-01-01"],
      ["1999-12-31"],
      ["2100-01-01"],
      ["2025-01-01", "2100-01-01"],
    ]) {
      assertProblem(await put({ from, ...(until && { until }) }), 422, "unprocessable", `${from} ${until}`);
    }
    for (const from of ["2025-02-29", "2025-1-1", "2025-01-01T00:00:00Z", "today", ""])
      assertProblem(await put({ from }), 400, "invalid-request");
    assertProblem(await put({ from: "2030-01-01", plan: "nothing" }), 404, "not-found");
    assertProblem(await put({ from: "2030-01-01" }, "nobody"), 404, "not-found");
  });
  test("a country that is none is refused: somewhere else is billed without VAT", async () => {
    for (const country of ["EL", "UK", "XI", "EU", "ZZ"]) {
      assertProblem(await call("PUT", `/api/customers/${nextId()}`, { ...CUSTOMER, country }), 422, "unprocessable", country);
    }
    for (const country of ["GR", "GB", "US"]) await api("PUT", `/api/customers/${nextId()}`, { ...CUSTOMER, country });
  });
  test("the plan's currency is the customer's, and that one stays, as does the time zone", async () => {
    const customer = await subscribed();
    await api("PUT", "/api/plans/dollars", { kind: "flat", name: "Dollars", currency: "USD", fee: "1" });
    const put = { plan: "dollars", from: "2030-01-01" };
    assert.match(
      assertProblem(await call("PUT", `/api/customers/${customer}/subscriptions/d`, put), 409, "conflict").detail,
      /USD.*EUR/,
    );
    for (const change of [{ currency: "USD" }, { time_zone: "UTC" }]) {
      assertProblem(await call("PUT", `/api/customers/${customer}`, { ...CUSTOMER, ...change }), 409, "conflict");
    }
    assert.equal((await call("PUT", `/api/customers/${customer}`, { ...CUSTOMER, time_zone: "europe/berlin" })).status, 200);
  });
  test("two first requests for one customer with other currencies: one of them is told no", async () => {
    const insert = "INSERT INTO customers (id, name, country, time_zone, currency) VALUES ('first', 'x', 'DE', 'UTC', 'JPY')";
    await beside.query("BEGIN");
    await beside.query(insert);
    const second = call("PUT", "/api/customers/first", CUSTOMER);
    await waiting(beside);
    await beside.query("COMMIT");
    assertProblem(await second, 409, "conflict");
    const { currency, time_zone, name } = await api("GET", "/api/customers/first");
    assert.deepEqual([currency, time_zone, name], ["JPY", "UTC", "x"]);
  });
  test("lists have pages, by id", async () => {
    const { items } = await api("GET", "/api/customers");
    const ids = items.map(({ id }) => id);
    assert.deepEqual(ids, ids.toSorted());
    const rest = await api("GET", `/api/customers?after=${ids[2]}`);
    assert.deepEqual(
      rest.items.map(({ id }) => id),
      ids.slice(3),
    );
    assert.equal((await api("GET", `/api/customers?after=zzz`)).items.length, 0);
  });
});

test("nothing else broke inside meanwhile", async () => {
  assert.deepEqual(await service.stop(), { code: 0, signal: null });
  await log.ended;
  const broken = log.broken();
  assert.ok(failures > 0);
  assert.equal(broken.filter((line) => line.includes('"no space left"')).length, failures);
  assert.equal(broken.length, failures, broken.filter((line) => !line.includes('"no space left"')).join("\n"));
});
