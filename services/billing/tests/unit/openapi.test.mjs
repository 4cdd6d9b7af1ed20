// The comparison of OpenAPI documents: each kind of loss is seen, and what is no loss is not.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { losses } from "../support/openapi.mjs";

const RELEASED = JSON.parse(readFileSync(new URL("../../openapi/1.0.0.json", import.meta.url), "utf8"));
const TEXT = JSON.stringify(RELEASED);

/** What a client of 1.0.0 loses when the document is changed like this. */
function after(change) {
  const changed = JSON.parse(TEXT);
  const { paths, components } = changed;
  const operation = (path, method) => {
    const found = paths[path]?.[method];
    assert.ok(found, `${method} ${path}`);
    return found;
  };
  const body = (path, method) => operation(path, method).requestBody.content["application/json"].schema;
  change({ paths, schemas: components.schemas, operation, body, document: changed });
  assert.notEqual(JSON.stringify(changed), TEXT, "nothing was changed");
  return losses(RELEASED, changed);
}
const CUSTOMER = "/api/customers/{id}";
const PLAN = "/api/plans/{id}";
const USAGE = "/api/customers/{id}/usage";
const parameter = (operation, name) => operation.parameters.find((one) => one.name === name);
const usage = ({ body }) => body("/api/usage", "post").items;

const LOST = {
  "a path": [({ paths }) => delete paths[CUSTOMER], /GET \/api\/customers\/\{id\}: is gone/],
  "a method": [({ paths }) => delete paths[PLAN].put, /PUT .*: is gone/],
  "a parameter": [({ operation }) => operation(USAGE, "get").parameters.pop(), /parameter \w+ is gone/],
  "a parameter that was optional": [
    ({ operation }) => (parameter(operation(USAGE, "get"), "after").required = true),
    /query parameter after is required now/,
  ],
  "a new parameter that must be there": [
    ({ operation }) => operation(USAGE, "get").parameters.push({ in: "header", name: "x-tenant", required: true, schema: {} }),
    /header parameter x-tenant is new and required/,
  ],
  "a parameter's values": [
    ({ operation }) => (parameter(operation(USAGE, "get"), "month").schema.pattern = "^2025-\\d\\d$"),
    /parameter month: pattern changed/,
  ],
  "a parameter's type": [
    ({ operation }) => (parameter(operation(USAGE, "get"), "after").schema.type = "integer"),
    /parameter after: type .*string.* became .*integer/,
  ],
  "a media type of the request": [
    ({ operation }) => delete operation("/api/usage", "post").requestBody.content["text/csv"],
    /body: text\/csv is gone/,
  ],
  "a request without a body": [
    ({ operation }) => (operation(CUSTOMER, "get").requestBody = { required: true, content: {} }),
    /a body is required now/,
  ],
  "an answer": [({ operation }) => delete operation(CUSTOMER, "put").responses[201], /the answer 201 is gone/],
  "an answer's media type": [
    ({ operation }) => (operation(CUSTOMER, "get").responses[200].content = { "application/xml": { schema: {} } }),
    /200: application\/json is gone/,
  ],
  "an answer's content": [({ operation }) => delete operation(CUSTOMER, "get").responses[200].content, /is gone/],
  "an answer's schema": [
    ({ operation }) => delete operation(CUSTOMER, "get").responses[200].content["application/json"].schema,
    /has no schema any more/,
  ],
  "a property of an answer": [
    ({ schemas }) => {
      delete schemas.Invoice.properties.total;
      schemas.Invoice.required = schemas.Invoice.required.filter((name) => name !== "total");
    },
    /property total is gone/,
  ],
  "a property that was always there": [
    ({ schemas }) => (schemas.Invoice.required = schemas.Invoice.required.filter((name) => name !== "net")),
    /property net may now be absent/,
  ],
  "a property deep in an answer": [
    ({ schemas }) => delete schemas.Invoice.properties.lines.items.properties.amount,
    /lines\[\]: property amount is gone/,
  ],
  "the type of an answer's property": [
    ({ schemas }) => (schemas.Health.properties.uptime_seconds.type = "string"),
    /uptime_seconds: type .*number.* became .*string/,
  ],
  "that an answer's property is never null": [
    ({ schemas }) => (schemas.Usage.properties.quantity.type = ["string", "null"]),
    /quantity: type/,
  ],
  "the end of an answer's words": [
    ({ schemas }) => schemas.Recorded.properties.result.enum.push("ignored"),
    /result: may now be ignored/,
  ],
  "an answer's words, for any text": [({ schemas }) => delete schemas.Recorded.properties.result.enum, /may now be any value/],
  "the one word of an answer": [
    ({ operation }) => {
      const answer = operation(PLAN, "get").responses[200].content["application/json"];
      const plan = structuredClone(RELEASED.components.schemas.Plan);
      plan.anyOf[0].properties.kind.const = "base";
      answer.schema = plan;
    },
    /kind/,
  ],
  "the end of an answer's alternatives": [
    ({ schemas }) => schemas.Plan.anyOf.push({ type: "object", properties: {} }),
    /has more alternatives/,
  ],
  "a word that requests may have": [
    (it) => (usage(it).properties.number_format.enum = ["point"]),
    /number_format: does not take comma/,
  ],
  "any text, for words": [(it) => (usage(it).properties.unit.enum = ["GB"]), /unit: does not take any value/],
  "an alternative of requests": [({ body }) => body(PLAN, "put").anyOf.pop(), /takes fewer alternatives/],
  "a property that requests may have": [(it) => delete usage(it).properties.time_zone, /property time_zone is gone/],
  "that a property may be left out": [(it) => usage(it).required.push("time_zone"), /property time_zone is required now/],
  "a new property that must be there": [
    (it) => {
      usage(it).properties.region = { type: "string" };
      usage(it).required.push("region");
    },
    /property region is required now/,
  ],
};
for (const [bound, value] of Object.entries({ maxLength: 3, minLength: 2, pattern: "^a$", format: "uri", const: "GB" })) {
  LOST[`what a request's text may be: ${bound}`] = [
    (it) => (usage(it).properties.unit[bound] = value),
    new RegExp(`${bound} changed`),
  ];
}
for (const [bound, value] of Object.entries({ maxItems: 10, minItems: 2 })) {
  LOST[`how much a request may have: ${bound}`] = [
    ({ body }) => (body("/api/usage", "post")[bound] = value),
    new RegExp(`${bound} changed`),
  ];
}
/** Keywords that only ever take something away, and where they do it. */
const NARROWING = {
  list: { uniqueItems: true, contains: { required: ["unit"] } },
  record: { minProperties: 9, maxProperties: 1, propertyNames: { maxLength: 1 }, dependentRequired: { unit: ["time_zone"] } },
  text: { multipleOf: 2, exclusiveMinimum: 0, exclusiveMaximum: 9, not: { const: "x" } },
  "any of": { allOf: [{ maxLength: 1 }], anyOf: [{ maxLength: 1 }], oneOf: [{ maxLength: 1 }] },
};

describe("losses are seen", () => {
  for (const [what, [change, seen]] of Object.entries(LOST)) test(what, () => assert.match(after(change).join("\n"), seen));
  test("that requests may have more", () => {
    // No request of 1.0.0 is open.
    const open = structuredClone(RELEASED);
    delete open.paths["/api/usage"].post.requestBody.content["application/json"].schema.items.additionalProperties;
    assert.match(losses(open, RELEASED).join("\n"), /is closed now/);
  });
  test("that nobody needs a key", () => {
    for (const place of [({ operation }) => operation(CUSTOMER, "get"), ({ document }) => document]) {
      assert.notDeepEqual(
        after((it) => (place(it).security = [{ key: [] }])),
        [],
      );
    }
  });
  test("a request that is bound in a way in which it was not", () => {
    const unseen = [];
    for (const [place, keywords] of Object.entries(NARROWING)) {
      for (const [keyword, value] of Object.entries(keywords)) {
        const narrow = (it) => {
          const target = { list: it.body("/api/usage", "post"), record: usage(it) }[place] ?? usage(it).properties.unit;
          target[keyword] = value;
        };
        if (after(narrow).length === 0) unseen.push(keyword);
      }
    }
    assert.deepEqual(unseen, []);
  });
});

describe("what is no loss", () => {
  const FINE = {
    "another path, another method": ({ paths }) => {
      paths["/api/credits"] = { get: { responses: { 200: { description: "" } } } };
      paths[CUSTOMER].delete = { responses: { 204: { description: "" } } };
    },
    "a parameter that may be left out": ({ operation }) =>
      operation(USAGE, "get").parameters.push({ in: "query", name: "metric", schema: { type: "string" } }),
    "a parameter that need not be there any more": ({ operation }) => delete parameter(operation(USAGE, "get"), "month").required,
    "a property that may be left out, in requests and answers": ({ body, schemas }) => {
      body(CUSTOMER, "put").properties.purchase_order = { type: "string", maxLength: 64 };
      schemas.Customer.properties.purchase_order = { type: "string" };
    },
    "a property that is always there": ({ schemas }) => {
      schemas.Invoice.properties.due = { type: "string" };
      schemas.Invoice.required.push("due");
    },
    "a property that requests may leave out now": (it) => usage(it).required.pop(),
    "a body that may be left out now": ({ operation }) => delete operation(CUSTOMER, "put").requestBody.required,
    "another word in requests, one less in answers": (it) => {
      usage(it).properties.number_format.enum.push("apostrophe");
      it.schemas.Recorded.properties.result.enum.pop();
    },
    "any text, where requests had words": (it) => delete usage(it).properties.number_format.enum,
    "no bound, where requests had one": (it) => {
      for (const bound of ["maxLength", "minLength", "pattern"]) delete usage(it).properties.key[bound];
      delete it.body("/api/usage", "post").maxItems;
    },
    "a request that is open now": (it) => delete usage(it).additionalProperties,
    "another alternative in requests, one less in answers": ({ body, schemas }) => {
      body(PLAN, "put").anyOf.push({ type: "object", properties: { kind: { const: "free", type: "string" } } });
      schemas.Plan.anyOf.pop();
    },
    "another answer, another media type": ({ operation }) => {
      operation(CUSTOMER, "get").responses[410] = { description: "" };
      operation(CUSTOMER, "get").responses[200].content["application/cbor"] = { schema: {} };
      operation("/api/usage", "post").requestBody.content["application/x-ndjson"] = { schema: {} };
    },
    "a bound on answers": ({ schemas }) => {
      schemas.Invoice.properties.total.pattern = "^\\d";
      schemas.Invoice.properties.lines.maxItems = 100;
    },
    "other words in descriptions, another version, another schema": ({ document, schemas, operation }) => {
      document.info.version = "9.9.9";
      schemas.Invoice.description = "An invoice";
      schemas.Credit = { type: "object" };
      Object.assign(operation(CUSTOMER, "get"), { summary: "Somebody", tags: ["customers"], deprecated: true });
    },
    "a schema that is referred to instead of repeated": ({ operation, schemas }) => {
      const content = operation(CUSTOMER, "put").requestBody.content["application/json"];
      schemas.CustomerBody = content.schema;
      content.schema = { $ref: "#/components/schemas/CustomerBody" };
    },
    "another order": ({ operation, schemas }) => {
      operation(USAGE, "get").parameters.reverse();
      schemas.Invoice.required.reverse();
      schemas.Recorded.properties.result.enum.reverse();
    },
  };
  for (const [what, change] of Object.entries(FINE)) test(what, () => assert.deepEqual(after(change), []));
  test("the same document", () => assert.deepEqual(losses(RELEASED, structuredClone(RELEASED)), []));
  test("a schema that contains itself ends", () => {
    const tree = { type: "object", properties: { children: { type: "array", items: { $ref: "#/components/schemas/Tree" } } } };
    const document = structuredClone(RELEASED);
    document.components.schemas.Tree = tree;
    document.components.schemas.Loop = { $ref: "#/components/schemas/Loop" };
    for (const name of ["Tree", "Loop"]) {
      const content = { "application/json": { schema: { $ref: `#/components/schemas/${name}` } } };
      document.paths[CUSTOMER].get.responses[200].content = content;
      assert.deepEqual(losses(document, structuredClone(document)), []);
    }
  });
});
