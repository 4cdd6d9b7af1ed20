// What a client of the API needs, without a library: the suites run wherever Node does, against any BASE_URL.
import assert from "node:assert/strict";

/** A client of the service at `base`. Every call has a deadline. */
export function clientOf(base) {
  return async function call(method, path, body, headers = {}) {
    const response = await fetch(new URL(path, base), {
      method,
      headers: body === undefined || headers["content-type"] ? headers : { "content-type": "application/json", ...headers },
      body: body === undefined || typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body),
      signal: AbortSignal.timeout(30_000),
    });
    const text = await response.text();
    const isJson = /json/.test(response.headers.get("content-type") ?? "");
    return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text };
  };
}

/** As `clientOf`, and an answer that is not a success fails the test with what was asked and answered. */
export function insistentClientOf(base) {
  const call = clientOf(base);
  return async (method, path, body, headers) => {
    const answer = await call(method, path, body, headers);
    assert.ok(answer.status < 300, `${method} ${path}: ${answer.status} ${JSON.stringify(answer.body).slice(0, 800)}`);
    return answer.body;
  };
}

/** The address that the running service has; the suites that need one do not guess. */
export function baseUrl() {
  const base = process.env.BASE_URL;
  if (!base)
    throw new Error(
      "BASE_URL is not set: the address of a running service, such as http://127.0.0.1:3000; or run `npm run check`, which starts one",
    );
  return base;
}

/** Runs `work` over `items`, so many at a time. */
export async function inParallel(items, width, work) {
  const queue = [...items.entries()];
  const results = [];
  await Promise.all(
    Array.from({ length: width }, async () => {
      for (let next = queue.shift(); next; next = queue.shift()) results[next[0]] = await work(next[1]);
    }),
  );
  return results;
}
