// What the service does with a body in CSV, and what a client sees of an error. Without a database: errors are thrown by hand.
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import Fastify from "fastify";
import { installCsv } from "../../dist/csv.js";
import { installProblems, notFound, ProblemError } from "../../dist/problem.js";

const app = Fastify();
installProblems(app);
installCsv(app);
let thrown;
app.post("/", async (request) => request.body);
app.get("/", async () => {
  throw thrown;
});
await app.ready();
after(() => app.close());

describe("CSV", () => {
  const post = async (payload, type = "text/csv") => {
    const { statusCode, body } = await app.inject({ method: "POST", url: "/", payload, headers: { "content-type": type } });
    return { status: statusCode, body: body === "" ? undefined : JSON.parse(body) };
  };
  const rows = async (...args) => {
    const { status, body } = await post(...args);
    assert.equal(status, 200, JSON.stringify(body));
    return body;
  };
  const refused = async (status, code, ...args) => {
    const { body, ...answer } = await post(...args);
    assert.deepEqual([answer.status, body.type], [status, `urn:billing:problem:${code}`], JSON.stringify(body));
    return body;
  };

  test("lines end in any way, and the last one need not", async () => {
    for (const end of ["\n", "\r\n", "\r"]) {
      for (const last of ["", end, end + end]) {
        assert.deepEqual(await rows(`a,b${end}1,2${end}3,4${last}`), [
          { a: "1", b: "2" },
          { a: "3", b: "4" },
        ]);
      }
    }
  });
  test("the header says the separator: semicolon, tab or comma", async () => {
    assert.deepEqual(await rows("a;b\n1,5;x"), [{ a: "1,5", b: "x" }]);
    assert.deepEqual(await rows("a\tb\n1,5\tx;y"), [{ a: "1,5", b: "x;y" }]);
    assert.deepEqual(await rows("a,b\n1.5,x;y"), [{ a: "1.5", b: "x;y" }]);
    assert.deepEqual(await rows("a\n1\n2"), [{ a: "1" }, { a: "2" }]);
  });
  test("quotes keep separators, quotes and line ends; blanks belong to the cell, but not to the header", async () => {
    assert.deepEqual(await rows('a,b\n"1,5","x\r\ny"\n"","say ""hi"""'), [{ a: "1,5", b: "x\r\ny" }, { b: 'say "hi"' }]);
    assert.deepEqual(await rows('" a ",b \n 1 ,2'), [{ a: " 1 ", b: "2" }]);
  });
  test("an empty cell is a column that the row does not have; empty lines are no rows", async () => {
    assert.deepEqual(await rows("a,b\n\n1,\n\n,2\n,\n"), [{ a: "1" }, { b: "2" }, {}]);
    assert.deepEqual(await rows("a,b"), []);
    assert.deepEqual(await rows("a,b\n"), []);
  });
  test("a byte order mark is not a part of the first name", async () => {
    for (const encoding of ["utf8", "utf16le"]) {
      const type = `text/csv; charset=${encoding === "utf8" ? "utf-8" : "UTF-16LE"}`;
      assert.deepEqual(await rows(Buffer.from("\ufeffa,b\nü,2", encoding), type), [{ a: "ü", b: "2" }]);
    }
  });
  test("charsets: quoted, in any case, beside other parameters; what is not in it, or is none, is refused", async () => {
    const latin = Buffer.from("a\nü€".replace("€", ""), "latin1");
    for (const type of [
      "text/csv; charset=iso-8859-1",
      'text/csv;charset="Windows-1252"',
      "text/csv; header=present; charset=latin1",
    ]) {
      assert.deepEqual(await rows(latin, type), [{ a: "ü" }], type);
    }
    await refused(400, "invalid-request", latin);
    await refused(400, "invalid-request", latin, "text/csv; charset=utf-8");
    await refused(400, "invalid-request", Buffer.from([0x61, 0x0a, 0x00]), "text/csv; charset=utf-16le");
    for (const charset of ["klingon", "utf-7", "__proto__", "iso-2022-kr"]) {
      await refused(415, "unsupported-media-type", "a\n1", `text/csv; charset=${charset}`);
    }
  });
  test("rows of another width, and quotes that do not close, are refused", async () => {
    for (const text of ["a,b\n1", "a,b\n1,2,3", 'a,b\n"1,2', 'a,b\n1,2"3"', 'a,b\n"1"2,3'])
      await refused(400, "invalid-request", text);
  });
  test("a column that comes twice has two values: refused", async () => {
    for (const header of ["a,b,a", "a,b, a ", '"a",b,a']) await refused(400, "invalid-request", `${header}\n1,2,3`);
  });
  test("a megabyte that is no table of usage is refused at once: nobody else is answered meanwhile", async () => {
    const columns = Array.from({ length: 500 }, (_, at) => `c${at}`).join();
    for (const text of [
      ",".repeat(1 << 20),
      `${"a,".repeat(1 << 19)}\n`,
      `a,b\n${",".repeat(1 << 20)}`,
      `${columns}\n${`${",".repeat(499)}\n`.repeat(1000)}`,
      `"${'""'.repeat(1 << 18)}`,
    ]) {
      const begin = process.cpuUsage();
      await refused(400, "invalid-request", text.slice(0, 1 << 20));
      const { user, system } = process.cpuUsage(begin);
      assert.ok(user + system < 300_000, `${(user + system) / 1000} ms for ${text.slice(0, 40)}`);
    }
  });
  test("names of an object's own are names like others", async () => {
    const [row] = await rows("__proto__,constructor,toString\n1,2,3");
    assert.deepEqual(Object.entries(row), [
      ["__proto__", "1"],
      ["constructor", "2"],
      ["toString", "3"],
    ]);
    assert.equal({}.polluted, undefined);
  });
});

describe("problems", () => {
  const get = async (error, headers = {}) => {
    thrown = error;
    const answer = await app.inject({ method: "GET", url: "/", headers });
    return { status: answer.statusCode, headers: answer.headers, text: answer.body, body: answer.json() };
  };
  const failing = (message, fields = {}) => Object.assign(new Error(message), fields);

  test("a reason that was thrown is told, with at most twenty places", async () => {
    const errors = Array.from({ length: 50 }, (_, at) => ({ pointer: `/body/${at}`, detail: "is wrong" }));
    const { status, headers, body } = await get(new ProblemError("key-reused", "nothing was recorded", errors));
    assert.equal(status, 409);
    assert.match(headers["content-type"], /^application\/problem\+json/);
    assert.deepEqual(body, {
      type: "urn:billing:problem:key-reused",
      title: "The same key came with another record before",
      status: 409,
      instance: body.instance,
      detail: "nothing was recorded",
      errors: errors.slice(0, 20),
    });
    assert.throws(() => notFound("plan", "x"), { code: "not-found", detail: "there is no plan `x`" });
  });
  test("what breaks inside is not told", async () => {
    for (const error of [
      failing("relation customers, password hunter2"),
      failing("duplicate key: hunter2", { code: "23505", detail: "hunter2", statusCode: undefined }),
      failing("hunter2", { statusCode: 500 }),
      failing("hunter2", { code: 42 }),
      new TypeError("hunter2"),
    ]) {
      const { status, text, body, headers } = await get(error);
      assert.deepEqual([status, body.type, headers["retry-after"]], [500, "urn:billing:problem:internal", undefined]);
      assert.doesNotMatch(text, /hunter2/);
    }
  });
  test("a database that does not answer is 503, with a time to try again", async () => {
    const states = [
      "08000",
      "08006",
      "53100",
      "53200",
      "53300",
      "57014",
      "57P01",
      "57P02",
      "57P03",
      "58000",
      "58030",
      "28P01",
      "3D000",
      "42P01",
    ];
    const codes = ["ECONNREFUSED", "ECONNRESET", "EPIPE", "ETIMEDOUT", "ENOTFOUND", "EHOSTUNREACH", "EAI_AGAIN"];
    for (const error of [
      ...[...states, ...codes].map((code) => failing("hunter2", { code })),
      Object.assign(new AggregateError([failing("x")], ""), { code: "ECONNREFUSED" }),
      failing("timeout exceeded when trying to connect"),
      failing("Connection terminated unexpectedly"),
      failing("Connection terminated due to connection timeout"),
      failing("Query read timeout"),
    ]) {
      const { status, text, body, headers } = await get(error);
      const told = `${error.code} ${error.message}`;
      assert.deepEqual([status, body.type, headers["retry-after"]], [503, "urn:billing:problem:unavailable", "2"], told);
      assert.doesNotMatch(text, /hunter2/);
    }
  });
  test("so is one that cannot do it now and can soon: another server took over, a lock was in the way", async () => {
    const states = ["40001", "40P01", "55P03", "25006", "25P03", "25P04"];
    const gone = "Client has encountered a connection error and is not queryable";
    for (const error of [...states.map((code) => failing("x", { code })), failing(gone)]) {
      assert.equal((await get(error)).status, 503, `${error.code} ${error.message}`);
    }
  });
  test("an address that is not there", async () => {
    const answer = await app.inject({ method: "GET", url: "/nowhere" });
    assert.deepEqual([answer.statusCode, answer.json().type], [404, "urn:billing:problem:not-found"]);
  });
});
