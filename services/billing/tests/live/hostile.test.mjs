// Requests as nobody should send them: each is answered with a problem document of the right kind, and nothing breaks inside.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { inParallel } from "../support/client.mjs";
import { assertProblem, CUSTOMER, exchange, FUTURE, MONTH, PLAN, startBilling, starts, USAGE } from "../support/live.mjs";

const started = starts();
let service, log, api, call;
const JSON_TYPE = { "content-type": "application/json" };
const usage = (changes = {}) => [{ ...USAGE, customer: "acme", key: "k", ...changes }];
/** Below this, an answer to nonsense is a no, not an accident. */
const assertRefused = (answer, note) => {
  assert.ok(
    answer.status >= 400 && answer.status < 500,
    `${note}: ${answer.status} ${JSON.stringify(answer.body)?.slice(0, 300)}`,
  );
  assertProblem(answer, answer.status, answer.body.type?.replace("urn:billing:problem:", ""), note);
};

before(async () => {
  ({ service, log, api, call } = await startBilling(started, { LOG_LEVEL: "error" }));
  await api("PUT", "/api/plans/traffic", PLAN);
  await api("PUT", "/api/customers/acme", CUSTOMER);
  await api("PUT", "/api/customers/acme/subscriptions/s", { plan: "traffic", from: "2025-01-01" });
  await api("POST", "/api/usage", usage({ key: "there" }));
});
after(() => started.end());

describe("problems", () => {
  test("each kind, by its status", async () => {
    for (const [status, code, method, path, body, headers] of [
      [400, "invalid-request", "PUT", "/api/customers/acme", {}],
      [400, "invalid-request", "PUT", "/api/customers/Acme", CUSTOMER],
      [400, "invalid-request", "PUT", "/api/customers/acme", { ...CUSTOMER, extra: 1 }],
      [400, "invalid-request", "POST", "/api/usage", "{", JSON_TYPE],
      [400, "invalid-request", "POST", "/api/usage", "", JSON_TYPE],
      [400, "invalid-request", "POST", "/api/usage", []],
      [400, "invalid-request", "GET", "/api/customers/acme/usage"],
      [400, "invalid-request", "GET", `/api/customers/acme/usage?month=${MONTH}&month=${MONTH}`],
      [400, "invalid-request", "GET", "/api/customers?after=a&limit=5"],
      [404, "not-found", "GET", "/"],
      [404, "not-found", "GET", "/api/health/"],
      [404, "not-found", "GET", "/api/customers/nobody"],
      [404, "not-found", "GET", `/api/customers/acme/invoices/${FUTURE}`],
      [405, "method-not-allowed", "DELETE", "/api/customers/acme"],
      [405, "method-not-allowed", "POST", "/api/health", {}],
      [405, "method-not-allowed", "PATCH", "/metrics", "{", JSON_TYPE],
      [405, "method-not-allowed", "OPTIONS", "/api/openapi.json?x=1"],
      [409, "conflict", "PUT", "/api/plans/traffic", { ...PLAN, fee: "1" }],
      [409, "key-reused", "POST", "/api/usage", usage({ key: "there", quantity: "2" })],
      [409, "month-not-over", "PUT", `/api/customers/acme/invoices/${FUTURE}`],
      [413, "too-large", "POST", "/api/usage", `[${" ".repeat(1 << 20)}]`, JSON_TYPE],
      [413, "too-large", "POST", "/api/usage", "x".repeat((1 << 20) + 1), { "content-type": "text/csv" }],
      [415, "unsupported-media-type", "POST", "/api/usage", "<a/>", { "content-type": "application/xml" }],
      [415, "unsupported-media-type", "POST", "/api/usage", "[]", { "content-type": "text/plain" }],
      [415, "unsupported-media-type", "POST", "/api/usage", "[]", { "content-type": "nonsense" }],
      [422, "unprocessable", "POST", "/api/usage", usage({ quantity: "many" })],
      [422, "unprocessable", "PUT", "/api/customers/new", { ...CUSTOMER, time_zone: "Europe/Atlantis" }],
      [422, "unprocessable", "PUT", "/api/customers/new", { ...CUSTOMER, vat_id: "FR123" }],
      [422, "unprocessable", "PUT", "/api/plans/new", { ...PLAN, unit: "Mb" }],
    ]) {
      const answer = await call(method, path, body, { ...headers, "x-request-id": "the-request-1" });
      assertProblem(answer, status, code, `${method} ${path}`);
      assert.equal(answer.body.instance, "the-request-1");
      if (status === 405) {
        const allow = answer.headers.get("allow").split(", ");
        assert.ok(allow.length > 0 && !allow.includes(method), allow.join());
        assert.equal((await call("OPTIONS", path)).headers.get("allow"), allow.join(", "));
      }
    }
    // The largest body that may come, comes.
    const largest = JSON.stringify(usage({ key: "there" }));
    const padded = largest.replace("]", `${" ".repeat((1 << 20) - largest.length)}]`);
    assert.equal(padded.length, 1 << 20);
    assert.equal((await call("POST", "/api/usage", padded, JSON_TYPE)).status, 200);
  });
  test("a request's id is taken over where it is one, and made up where it is not", async () => {
    const of = async (id, path = "/api/health") =>
      (await call("GET", path, undefined, { "x-request-id": id })).headers.get("x-request-id");
    for (const id of ["a", "A-b_c.d:e", "0".repeat(64)]) {
      for (const path of ["/api/health", "/nowhere", "/api/customers/acme"]) assert.equal(await of(id, path), id);
    }
    const made = new Set();
    for (const id of ["", "0".repeat(65), "a b", "a,b", "a/b", "<script>", '"', "\u00e9", "$" + "{x}", "a;b", "{}", "../x"]) {
      made.add(await of(id));
      assert.notEqual([...made].at(-1), id);
    }
    assert.equal(made.size, 12);
    for (const id of made) assert.match(id, /^[0-9a-f-]{36}$/);
    const twice = await exchange(
      service.port,
      "GET /api/health HTTP/1.1\r\nHost: x\r\nX-Request-Id: a\r\nX-Request-Id: b\r\nConnection: close\r\n\r\n",
    );
    assert.match(twice.headers.get("x-request-id"), /^[0-9a-f-]{36}$/);
  });
});

describe("bodies", () => {
  let plans = 0;
  const CALLS = {
    usage: (body) => call("POST", "/api/usage", body, JSON_TYPE),
    customer: (body) => call("PUT", "/api/customers/odd", body, JSON_TYPE),
    // Plans do not change: each attempt is one of its own.
    plan: (body) => {
      plans += 1;
      return call("PUT", `/api/plans/odd-${plans}`, body, JSON_TYPE);
    },
    subscription: (body) => call("PUT", "/api/customers/acme/subscriptions/odd", body, JSON_TYPE),
  };
  const tiers = [{ up_to: "1", unit_price: "1" }, { unit_price: "1" }];
  const GOOD = {
    usage: { ...usage()[0], time_zone: "UTC", number_format: "point" },
    customer: { ...CUSTOMER, vat_id: "DE123456789" },
    plan: { kind: "tiered", name: "Odd", currency: "EUR", fee: "0", metric: "odd", unit: "GB", mode: "volume", tiers },
    subscription: { plan: "traffic", from: "2050-01-01", until: "2050-01-02" },
  };
  const send = (kind, body) => CALLS[kind](JSON.stringify(kind === "usage" ? [body] : body));
  const fields = Object.entries(GOOD).flatMap(([kind, good]) => Object.keys(good).map((field) => [kind, field]));

  test("text that is none, in every field", async () => {
    const never = ["\u0000", "a\u0000b", "\u001f", "a\nb", "\u007f", "", "x".repeat(10_000), "\u{1f600}".repeat(1000)];
    const odd = [
      "\ud800",
      "a\udc00",
      "\ufffe\uffff",
      " ",
      "\u00a0",
      "\ufeff",
      "__proto__",
      "constructor",
      "1e999",
      "' OR 1=1 --",
      "%00",
      "\\",
    ];
    // Where a person may write what he likes; some of it grows on its way in.
    const free = [
      "\udfff\ud800",
      "\u0085",
      "\u2028",
      "\u202egnp",
      "-0",
      "9".repeat(64),
      "\u0958".repeat(32),
      "\u0958".repeat(64),
      "\ufdfa".repeat(32),
    ];
    const isFree = (field) => /^(name|vat_id|time_zone|metric|unit|key|quantity|at)$/.test(field);
    await inParallel(
      fields.flatMap(([kind, field]) => [...never, ...odd, ...(isFree(field) ? free : [])].map((value) => [kind, field, value])),
      8,
      async ([kind, field, value]) => {
        const answer = await send(kind, { ...GOOD[kind], [field]: value });
        const note = `${kind}.${field} ${JSON.stringify(value).slice(0, 80)}`;
        if (never.includes(value)) assertProblem(answer, 400, "invalid-request", note);
        else if (answer.status >= 300) assertRefused(answer, note);
      },
    );
  });
  test("no text at all, in every field", async () => {
    const values = ["0", "-1", "1e308", "1e999", "9".repeat(5000), "null", "true", "[]", '["x"]', '{"toString":1}'];
    await inParallel(
      fields.flatMap((field) => values.map((value) => [...field, value])),
      8,
      async ([kind, field, value]) => {
        const good = JSON.stringify({ ...GOOD[kind], [field]: "HERE" }).replace('"HERE"', value);
        const answer = await CALLS[kind](kind === "usage" ? `[${good}]` : good);
        assertProblem(answer, 400, "invalid-request", `${kind}.${field} ${value.slice(0, 80)}`);
      },
    );
  });
  test("names of an object's own", async () => {
    for (const [kind, good] of Object.entries(GOOD)) {
      const inner = JSON.stringify(good).slice(1);
      for (const name of [
        '"__proto__":{"polluted":1}',
        '"__proto__":null',
        '"constructor":{"prototype":{"polluted":1}}',
        '"hasOwnProperty":1',
      ]) {
        const body = `{${name},${inner}`;
        assertProblem(await CALLS[kind](kind === "usage" ? `[${body}]` : body), 400, "invalid-request", `${kind} ${name}`);
      }
    }
  });
  test("deep, wide and broken JSON, and lists where there is one thing", async () => {
    const deep = 100_000;
    for (const body of [
      "[".repeat(deep),
      "[".repeat(deep) + "]".repeat(deep),
      `${'{"a":'.repeat(deep / 2)}1${"}".repeat(deep / 2)}`,
      `[${"{},".repeat(deep)}{}]`,
      `[${"0,".repeat(deep)}0]`,
      `{${Array.from({ length: 50_000 }, (_, at) => `"k${at}":1`).join()}}`,
      '"x"',
      "null",
      "1",
      "[null]",
      "[[]]",
      "\ufeff[]",
      '[{"key":"\\u0000"}]',
      "[1,]",
      "[NaN]",
      "// x",
      "\u0000",
      "[]]",
    ]) {
      for (const kind of Object.keys(CALLS))
        assertProblem(await CALLS[kind](body), 400, "invalid-request", `${kind} ${body.slice(0, 60)}`);
    }
  });
  test("tables that are too long, too wide, or no tables", async () => {
    const names = Object.keys(usage()[0]);
    const row = Object.values(usage({ key: "csv" })[0]);
    const csv = (text, type = "text/csv") => call("POST", "/api/usage", text, { "content-type": type });
    assert.equal((await csv(`${names}\n${row}\n`)).status, 200);
    for (const text of [
      "",
      "\n",
      `${names}\n`,
      "\u0000",
      `${names},__proto__\n${row},x`,
      `${names},${names}\n${row},${row}`,
      `${names}\n${row.with(3, '"1')}`,
      `${names}\n${Array(1001).fill(row).join("\n")}`,
      "a\n".repeat(1 << 19),
      `${"a,".repeat(1 << 18)}\n`,
      `"${'""'.repeat(1 << 18)}`,
    ]) {
      assertProblem(await csv(text), 400, "invalid-request", text.slice(0, 60));
    }
    assertProblem(
      await call("PUT", "/api/customers/odd", `${names}\n${row}`, { "content-type": "text/csv" }),
      400,
      "invalid-request",
    );
  });
});

describe("addresses", () => {
  const get = (target) => exchange(service.port, `GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
  test("odd escapes and names, in the path and in the query", async () => {
    const ids = [
      "%00",
      "a%00b",
      "%0a",
      "%ED%A0%80",
      "%EF%BF%BE",
      "%F0%9F%98%80",
      "..",
      "%2e%2e",
      "..%2f..%2fetc",
      "a%2Fb",
      "a%20b",
      "*",
      "%25",
      "a;b",
      "a'b",
    ];
    const long = [
      "a".repeat(64),
      "a".repeat(100),
      "a".repeat(101),
      "a".repeat(5000),
      "-a",
      "A",
      "__proto__",
      "constructor",
      "toString",
    ];
    for (const id of [...ids, ...long]) {
      for (const target of [
        `/api/customers/${id}`,
        `/api/plans/${id}`,
        `/api/customers/${id}/invoices/${MONTH}`,
        `/api/customers/acme/invoices/${id}`,
        `/api/customers/${id}/usage?month=${MONTH}`,
        `/api/customers/acme/usage?month=${id}`,
        `/api/customers?after=${id}`,
        `/api/customers/acme/invoices?before=${id}`,
        `/${id}`,
      ]) {
        const answer = await get(target);
        const clean = target.startsWith("/api/customers?after=a") || target.endsWith("constructor");
        if (!(clean && answer.status === 200)) assertRefused(answer, target.slice(0, 100));
      }
      const page = await get(`/api/customers/acme/usage?month=${MONTH}&after=${id}`);
      if (page.status !== 200) assertRefused(page, `after=${id}`);
    }
    for (const target of [
      "/api/customers?__proto__=x",
      "/api/customers?constructor=x",
      "/api/customers?after[]=a",
      "/api/customers?after[a]=a",
      "/api/customers?&&=&after",
    ]) {
      assertRefused(await get(target), target);
    }
  });
  test("escapes that are none", async () => {
    for (const target of [
      "/api/customers/%ff",
      "/api/customers/%",
      "/api/customers/%zz",
      "/api/customers/acme/invoices/%c0%80",
      "/%ff",
    ]) {
      assertRefused(await get(target), target);
    }
    // In a query they stand for themselves, and no id has a percent sign.
    for (const target of ["/api/customers?after=%ff", "/api/customers?after=%", "/api/customers?%ff=x"])
      assertRefused(await get(target), target);
  });
});

describe("connections", () => {
  const head = (...lines) => `${lines.join("\r\n")}\r\n\r\n`;
  const put = (headers, body) =>
    head("PUT /api/plans/wire HTTP/1.1", "Host: x", "Connection: close", "Content-Type: application/json", ...headers) + body;
  const body = JSON.stringify(PLAN);

  test("what is no HTTP, or not what it says, is refused", async () => {
    for (const [note, bytes] of Object.entries({
      garbage: "GARBAGE\r\n\r\n",
      "another protocol": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
      "an unknown method": head("BREW /api/health HTTP/1.1", "Host: x"),
      "a header without a name": head("GET /api/health HTTP/1.1", "Host: x", ": x"),
      "a header with a line end": head("GET /api/health HTTP/1.1", "Host: x", "X-A: a\u0000b"),
      "a length below zero": put(["Content-Length: -5"], body),
      "a length that is no number": put(["Content-Length: five"], body),
      "two lengths": put(["Content-Length: 5", "Content-Length: 6"], body),
      "a length and chunks": put(["Content-Length: 5", "Transfer-Encoding: chunked"], "0\r\n\r\n"),
      "chunks that are none": put(["Transfer-Encoding: chunked"], "zz\r\n\r\n"),
      "a length that is too short": put(["Content-Length: 5"], body),
      "a header that is too long": head("GET /api/health HTTP/1.1", "Host: x", `X-A: ${"a".repeat(100_000)}`),
      "too many headers": head("GET /api/health HTTP/1.1", "Host: x", ...Array.from({ length: 20_000 }, (_, at) => `X-${at}: a`)),
      "an address that is too long": head(`GET /${"a".repeat(100_000)} HTTP/1.1`, "Host: x"),
    })) {
      const answer = await exchange(service.port, bytes);
      assert.ok(answer.status >= 400 && answer.status < 500, `${note}: ${answer.text.slice(0, 300)}`);
    }
  });
  test("a length that is too long, or a body that never ends, is given up with its connection", async () => {
    const long = put([`Content-Length: ${body.length + 5}`], body);
    const endless = put(["Transfer-Encoding: chunked"], `${body.length.toString(16)}\r\n${body}\r\n`);
    const answers = await Promise.all([long, endless].map((bytes) => exchange(service.port, bytes, 300)));
    for (const { text } of answers) assert.equal(text, "", "an answer came before the body's end");
    const refused = await call("GET", "/api/plans/wire");
    assert.equal(refused.status, 404);
  });
  test("a body in chunks, and one after a question whether it may come", async () => {
    const chunked = put(["Transfer-Encoding: chunked"], `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`);
    assert.equal((await exchange(service.port, chunked)).status, 201);
    const asked = await exchange(service.port, put(["Expect: 100-continue", `Content-Length: ${body.length}`], body));
    assert.match(asked.text, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK/);
    // In chunks the length is not known before: refused all the same.
    const chunk = `10000\r\n${"x".repeat(1 << 16)}\r\n`;
    const large = await exchange(service.port, put(["Transfer-Encoding: chunked"], `${chunk.repeat(17)}0\r\n\r\n`));
    if (large.status !== 0) assert.equal(large.status, 413);
  });
  test("two hundred connections at once that say nothing are in nobody's way", async () => {
    const silent = Array.from({ length: 200 }, () => exchange(service.port, "GET /api/health HTTP/1.1\r\nX-", 500));
    assert.equal((await call("GET", "/api/health")).status, 200);
    await Promise.all(silent);
  });
});

test("after all that it is well, has what it had, and nothing broke inside", async () => {
  assert.equal((await call("GET", "/api/health")).status, 200);
  assert.equal(
    (await api("GET", `/api/customers/acme/usage?month=${MONTH}`)).items.some(({ key }) => key === "there"),
    true,
  );
  for (let page = await api("GET", "/api/customers"); page.items.length > 0; )
    page = await api("GET", `/api/customers?after=${page.items.at(-1).id}`);
  await api("GET", "/api/customers/acme/subscriptions");
  assert.deepEqual(await service.stop(), { code: 0, signal: null });
  await log.ended;
  assert.deepEqual(log.broken(), []);
});
