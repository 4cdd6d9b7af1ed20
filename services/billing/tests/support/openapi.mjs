// What a client that was written for one OpenAPI document loses with another. Requests may become wider and answers narrower,
// never the reverse: what the old client sends must still be taken, what it reads must still be there.
import { isDeepStrictEqual } from "node:util";

const METHODS = ["get", "put", "post", "delete", "patch", "head", "options"];
/** Keywords of a schema that are compared by what they mean. */
const UNDERSTOOD = "type enum anyOf oneOf items properties required additionalProperties $ref".split(" ");
/** Keywords that bound nothing. */
const WORDS = "$id title description examples default deprecated readOnly writeOnly".split(" ");
/** Whether what bounds a request's value may have changed: which way is wider is not guessed. */
const isBound = (keyword) => !UNDERSTOOD.includes(keyword) && !WORDS.includes(keyword);

/** Every loss, as `where: what`. */
export function losses(before, after) {
  const found = [];
  const compare = comparer(before, after, (where, what) => found.push(`${where}: ${what}`));
  for (const [path, item] of Object.entries(before.paths ?? {})) {
    for (const method of METHODS.filter((one) => item[one])) {
      const where = `${method.toUpperCase()} ${path}`;
      const now = after.paths?.[path]?.[method];
      if (now) compare.operation(where, item[method], now);
      else found.push(`${where}: is gone`);
    }
  }
  return found;
}

function comparer(before, after, report) {
  const resolve = (document, it) => {
    for (let hops = 0; it?.$ref !== undefined && hops < 32; hops += 1) {
      it = it.$ref
        .slice(2)
        .split("/")
        .reduce((at, key) => at?.[key.replaceAll("~1", "/").replaceAll("~0", "~")], document);
    }
    return it;
  };

  const keys = (document, it) => it.security ?? document.security ?? [];

  function operation(where, old, now) {
    if (!isDeepStrictEqual(keys(before, old), keys(after, now))) report(where, "asks for other credentials");
    const name = (parameter) => `${parameter.in} parameter ${parameter.name}`;
    const parameters = new Map((now.parameters ?? []).map((raw) => resolve(after, raw)).map((one) => [name(one), one]));
    for (const raw of old.parameters ?? []) {
      const was = resolve(before, raw);
      const is = parameters.get(name(was));
      parameters.delete(name(was));
      if (!is) report(where, `${name(was)} is gone`);
      else schema(`${where} ${name(was)}`, was.schema, is.schema, "request");
      if (is?.required && !was.required) report(where, `${name(was)} is required now`);
    }
    for (const [added, { required }] of parameters) if (required) report(where, `${added} is new and required`);

    const [was, is] = [resolve(before, old.requestBody), resolve(after, now.requestBody)];
    if (is?.required && !was?.required) report(where, "a body is required now");
    contents(`${where} body`, was?.content, is?.content, "request");
    for (const [status, answer] of Object.entries(old.responses ?? {})) {
      const [then, here] = [resolve(before, answer), resolve(after, now.responses?.[status])];
      if (!here) report(where, `the answer ${status} is gone`);
      else contents(`${where} ${status}`, then.content, here.content, "response");
    }
  }

  function contents(where, old = {}, now = {}, side) {
    for (const [type, { schema: was }] of Object.entries(old)) {
      if (now[type]) schema(where, was, now[type].schema, side);
      else report(where, `${type} is gone`);
    }
  }

  function schema(where, rawWas, rawIs, side, depth = 0) {
    const [was, is] = [resolve(before, rawWas), resolve(after, rawIs)];
    if (was === undefined || depth > 24) return;
    if (is === undefined) return report(where, "has no schema any more");
    const types = (it) => JSON.stringify([it.type].flat().sort());
    if (types(was) !== types(is)) return report(where, `type ${types(was)} became ${types(is)}`);
    const values = (it) => (it.const === undefined ? it.enum : [it.const]);
    if (values(was) || values(is)) {
      const [narrow, wide] = side === "request" ? [values(was), values(is)] : [values(is), values(was)];
      const missing = narrow === undefined ? "any value" : wide && narrow.filter((value) => !wide.includes(value)).join(", ");
      if (missing) report(where, `${side === "request" ? "does not take" : "may now be"} ${missing}`);
    }
    for (const bound of Object.keys(is).filter(isBound)) {
      if (side === "request" && !isDeepStrictEqual(is[bound], was[bound]))
        report(where, `${bound} changed to ${JSON.stringify(is[bound])}`);
    }
    if (side === "response" && was.const !== undefined && is.const !== was.const)
      report(where, `may now be other than ${was.const}`);
    const branches = (it) => it.anyOf ?? it.oneOf ?? [];
    const pairs = Math.min(branches(was).length, branches(is).length);
    if (branches(was).length > pairs && side === "request") report(where, "takes fewer alternatives");
    if (branches(was).length === 0 && branches(is).length > 0 && side === "request") report(where, "is one of alternatives now");
    if (branches(is).length > pairs && side === "response") report(where, "has more alternatives");
    for (let at = 0; at < pairs; at += 1)
      schema(`${where} alternative ${at + 1}`, branches(was)[at], branches(is)[at], side, depth + 1);
    if (was.items) schema(`${where}[]`, was.items, is.items, side, depth + 1);
    for (const [property, inner] of Object.entries(was.properties ?? {})) {
      const there = is.properties?.[property];
      if (there) schema(`${where}.${property}`, inner, there, side, depth + 1);
      else if (side === "response" || is.additionalProperties === false) report(where, `property ${property} is gone`);
    }
    const [must, had] = side === "request" ? [is, was] : [was, is];
    for (const property of must.required ?? []) {
      if (!(had.required ?? []).includes(property)) {
        report(where, side === "request" ? `property ${property} is required now` : `property ${property} may now be absent`);
      }
    }
    if (side === "request" && was.additionalProperties !== false && is.additionalProperties === false)
      report(where, "is closed now");
  }

  return { operation };
}
