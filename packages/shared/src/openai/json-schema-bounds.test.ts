import { expect, test } from "vitest";
import type { QuernError } from "../contract/errors.ts";
import { refuseUnboundedSchema } from "./json-schema-bounds.ts";

type Schema = Record<string, unknown>;

function refusalOf(schema: Schema): Pick<QuernError, "code" | "param" | "message"> | null {
  try {
    refuseUnboundedSchema(schema, ["schema"]);
    return null;
  } catch (error) {
    const { code, param, message } = error as QuernError;
    return { code, param, message };
  }
}

const properties = (count: number, prefix = "p"): Schema =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`${prefix}${i}`, {}]));

/** As many schemas inside each other, each the `wrap` of the next. */
function nested(depth: number, wrap: (inner: Schema) => Schema): Schema {
  return depth === 1 ? {} : wrap(nested(depth - 1, wrap));
}

test("what people write passes, with its definitions and its circles", () => {
  const tree = {
    type: "object",
    properties: {
      value: { anyOf: [{ $ref: "#/$defs/value" }, { type: "null" }] },
      children: { type: "array", items: { $ref: "#" } },
      next: { $ref: "#/definitions/a~1b%20c" },
      anything: true,
    },
    required: ["value"],
    additionalProperties: false,
    $defs: { value: { enum: ["x", { $ref: "not one" }] }, never: false },
    definitions: { "a/b c": { $ref: "#/$defs/never" } },
  };
  expect(refusalOf(tree)).toBeNull();
  expect(refusalOf({})).toBeNull();
});

test("a reference may lead to any place of the schema, as some libraries have it where a schema repeats", () => {
  const schema = (reference: string) => ({
    properties: { "a/b%": { type: "string" }, c: { anyOf: [{ $ref: reference }] } },
  });
  for (const reference of ["#/properties/a~1b%25", "#/properties/a%7E1b%25", "#/properties/c/anyOf/0"]) {
    expect(refusalOf(schema(reference)), reference).toBeNull();
  }
  expect(refusalOf(schema("#/properties/d"))?.message).toMatch(/leads to no schema/);
  expect(refusalOf(schema("#/properties/c/anyOf"))?.message).toMatch(/leads to no schema/);
});

test("a property may have the name of a keyword", () => {
  expect(refusalOf({ properties: { $ref: { type: "string" }, properties: { $ref: "#" } } })).toBeNull();
});

test("keywords that nobody here knows, and odd values, are left to others", () => {
  expect(
    refusalOf({ "x-order": { $ref: "https://example.com" }, properties: [], items: 5, not: null }),
  ).toBeNull();
});

test("32 KiB of JSON are the limit, in bytes", () => {
  const empty = Buffer.byteLength(JSON.stringify({ description: "" }));
  expect(refusalOf({ description: "x".repeat(32_768 - empty) })).toBeNull();
  expect(refusalOf({ description: "é".repeat((32_768 - empty) / 2 + 1) })).toMatchObject({
    code: "invalid_request",
    param: "schema",
    message: expect.stringMatching(/^schema: the schema has 32770 bytes; the limit is 32768/),
  });
});

test.each<[string, (inner: Schema) => Schema, string]>([
  ["properties", (inner) => ({ properties: { a: inner } }), ".properties.a"],
  ["items", (inner) => ({ items: inner }), ".items"],
  ["items in the old form", (inner) => ({ items: [{}, inner] }), ".items[1]"],
  ["alternatives", (inner) => ({ anyOf: [{ type: "null" }, inner] }), ".anyOf[1]"],
  ["definitions", (inner) => ({ $defs: { a: inner } }), ".$defs.a"],
])("16 schemas inside each other are the limit: %s", (_name, wrap, step) => {
  expect(refusalOf(nested(16, wrap))).toBeNull();
  const refused = refusalOf(nested(17, wrap));
  expect(refused).toMatchObject({ code: "invalid_request", param: `schema${step.repeat(16)}` });
  expect(refused?.message).toMatch(/nested deeper than 16 schemas/);
});

test("256 properties are the limit, wherever they are", () => {
  const spread = (more: number) => ({
    properties: { ...properties(99), deep: { items: { properties: properties(100) } } },
    $defs: { a: { properties: properties(56 + more) } },
    anyOf: [{ $ref: "#/$defs/a" }, { $ref: "#/$defs/a" }],
  });
  expect(refusalOf(spread(0))).toBeNull();
  expect(refusalOf(spread(1))).toMatchObject({
    param: "schema",
    message: expect.stringMatching(/more than 256 properties in all/),
  });
});

test("what only a reference leads to counts as well", () => {
  const schema = (count: number) => ({
    $ref: "#/$defs/a/x-hidden",
    $defs: { a: { "x-hidden": { properties: properties(count) } } },
  });
  expect(refusalOf(schema(256))).toBeNull();
  expect(refusalOf(schema(257))?.message).toMatch(/256/);
  expect(
    refusalOf({ $ref: "#/$defs/a/x-hidden", $defs: { a: { "x-hidden": { $ref: "b" } } } }),
  ).toMatchObject({
    param: "schema.$defs.a.x-hidden.$ref",
  });
});

test.each([["https://example.com/schema.json"], ["other.json#/$defs/a"], ["#anchor"], [""], [5]])(
  "a reference to %j leads out of what is read",
  (reference) => {
    expect(refusalOf({ $defs: { a: {} }, items: { $ref: reference } })).toMatchObject({
      code: "invalid_request",
      param: "schema.items.$ref",
      message: expect.stringMatching(/must be '#' or '#\/…'/),
    });
  },
);

test.each([["#/$defs/b"], ["#/$defs/list"], ["#/$defs/a/toString"], ["#/definitions/a"], ["#/$defs/%ff"]])(
  "a reference to %s leads nowhere",
  (reference) => {
    expect(refusalOf({ $defs: { a: {}, list: [] }, $ref: reference })?.message).toBe(
      `schema.$ref: ${reference} leads to no schema: define it, or correct the name`,
    );
  },
);
