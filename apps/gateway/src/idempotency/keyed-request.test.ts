import { expect, test } from "vitest";
import { keyedRequestOf } from "./keyed-request.ts";

const request = { tenant: "t", method: "POST", path: "/v1/jobs", body: { a: 1, b: [{ c: null, d: "é" }] } };
const hashOf = (changes: object) => keyedRequestOf("key", { ...request, ...changes })?.requestHash;

test("the order of fields, at any depth, does not make another request", () => {
  expect(hashOf({ body: { b: [{ d: "é", c: null }], a: 1 } })).toBe(hashOf({}));
});

test.each([
  { body: { a: 1, b: [{ c: null, d: "e" }] } },
  { body: { a: "1", b: [{ c: null, d: "é" }] } },
  { body: { a: 1, b: [{ d: "é" }] } },
  { body: { a: 1, b: { 0: { c: null, d: "é" } } } },
  { body: [{ a: 1, b: [{ c: null, d: "é" }] }] },
  { body: undefined },
  { path: "/v1/embeddings" },
  { method: "PUT" },
])("%j is another request", (changes) => {
  expect(hashOf(changes)).not.toBe(hashOf({}));
});

test("strings can't be made to look like structure", () => {
  expect(hashOf({ body: { a: '1,"b":2' } })).not.toBe(hashOf({ body: { a: "1", b: 2 } }));
  expect(hashOf({ body: ["a,b"] })).not.toBe(hashOf({ body: ["a", "b"] }));
});

test("a field named __proto__ counts like any other", () => {
  expect(hashOf({ body: JSON.parse('{"__proto__": 1}') })).not.toBe(hashOf({ body: {} }));
});

test("neither key nor body can be read from what is kept", () => {
  const keyed = keyedRequestOf("a secret key", { ...request, body: { secret: "a secret body" } });
  expect(JSON.stringify(keyed)).not.toContain("secret");
});

test("without a key there is nothing; an empty or endless one is refused", () => {
  expect(keyedRequestOf(undefined, request)).toBeNull();
  expect(keyedRequestOf("k".repeat(255), request)).not.toBeNull();
  for (const key of ["", "k".repeat(256)]) {
    expect(() => keyedRequestOf(key, request)).toThrow(
      expect.objectContaining({ code: "invalid_request", param: "idempotency-key" }),
    );
  }
});
