import { Ajv2020 } from "ajv/dist/2020.js";
import type { Llama } from "node-llama-cpp";
import { afterAll, beforeAll, expect, test } from "vitest";
import { grammarTakes, schemaGrammar, startLlama } from "../llama-grammar.fixture.ts";
import { SCHEMA_CORPUS } from "./schema-corpus.fixture.ts";

let llama: Llama;
beforeAll(async () => {
  llama = await startLlama();
});
afterAll(() => llama.dispose());

test.each(SCHEMA_CORPUS)("$name", async ({ schema, taken, refused }) => {
  const validate = new Ajv2020({ strict: false, validateFormats: false }).compile(schema);
  const takes = await grammarTakes(llama, schemaGrammar(schema));
  for (const json of taken) {
    expect(takes(json), json).toBe(true);
    expect(validate(JSON.parse(json)), json).toBe(true);
  }
  for (const json of refused) expect(takes(json), json).toBe(false);
});

test("blanks are free within bounds", async () => {
  const takes = await grammarTakes(
    llama,
    schemaGrammar({ type: "object", properties: { a: { type: "array", items: {} } } }),
  );
  const value = { a: [1, { b: [] }] };
  for (const json of [
    JSON.stringify(value),
    JSON.stringify(value, null, 2),
    JSON.stringify(value, null, "\t"),
  ]) {
    expect(takes(json), json).toBe(true);
    expect(takes(`\n\n${json}`)).toBe(true);
  }
  expect(takes('{"a":  1}')).toBe(false);
  expect(takes(`{"a":[1,\n${" ".repeat(21)}2]}`)).toBe(false);
});

test("tuples of draft 7 stand in items", async () => {
  const [a, b] = [{ type: "string" }, { type: "integer" }];
  const closed = await grammarTakes(llama, schemaGrammar({ items: [a, b], additionalItems: false }));
  expect([closed('["x",1]'), closed('["x",1,2]'), closed("[1]")]).toEqual([true, false, false]);
  const open = await grammarTakes(llama, schemaGrammar({ items: [a], additionalItems: b }));
  expect([open('["x"]'), open('["x",1,2]'), open('["x","y"]')]).toEqual([true, true, false]);
});

const deep = (levels: number): Record<string, unknown> =>
  levels === 0 ? { not: {} } : { type: "array", items: deep(levels - 1) };

test.each<[path: string, schema: Record<string, unknown>]>([
  ["#/not", { not: { type: "string" } }],
  ["#/properties/a~1b/if", { properties: { "a/b": { if: {} } } }],
  ["#/items/$dynamicRef", { items: { $dynamicRef: "#x" } }],
  ["#/patternProperties", { patternProperties: { x: {} } }],
  ["#/uniqueItems", { uniqueItems: true }],
  ["#/multipleOf", { multipleOf: 0.1 }],
  ["#/contains", { contains: {} }],
  ["#/minProperties", { type: "object", minProperties: 1 }],
  ["#/minProperties", { minProperties: 1 }],
  ["#/enum", { type: "string", enum: ["a", "b"], pattern: "^a$" }],
  ["#/enum", { enum: [[1]], minItems: 2 }],
  ["#/enum", { const: { a: 1 }, required: ["b"] }],
  ["#/maxProperties", { type: "object", maxProperties: 3 }],
  ["#/propertyNames", { propertyNames: { pattern: "^a" } }],
  ["#/anyOf/1/items/not", { anyOf: [{ type: "null" }, { type: "array", items: { not: {} } }] }],
  ["#/pattern", { pattern: "^(?=a)" }],
  ["#/pattern", { pattern: "(a)\\1" }],
  ["#/pattern", { pattern: "\\bword" }],
  ["#/pattern", { pattern: "^a+$", minLength: 3 }],
  ["#/pattern", { allOf: [{ pattern: "^a" }, { pattern: "b$" }] }],
  ["#/$ref", { $ref: "#/$defs/nothing" }],
  ["#/$ref", { $ref: "https://example.com/schema" }],
  ["#/type", { type: "text" }],
  ["#/minLength", { minLength: -1 }],
  ["#/enum", { enum: [] }],
  ["#/type", { properties: { a: {} }, type: 1 }],
  ["#/additionalProperties", { additionalProperties: 1 }],
  ["#", { type: "string", enum: [1] }],
  ["#", { type: "object", properties: { a: false }, required: ["a"] }],
  ["#", { minItems: 2, maxItems: 1 }],
])("refuses %s with its path", (path, schema) => {
  const refusal = expect.objectContaining({
    code: "invalid_request",
    param: "response_format",
    message: expect.stringContaining(` ${path} `),
  });
  expect(() => schemaGrammar(schema)).toThrow(refusal);
});

const branch = (level: number): unknown =>
  level === 0
    ? { type: "string" }
    : { anyOf: [{ $ref: `#/$defs/l${level - 1}` }, { $ref: `#/$defs/m${level - 1}` }] };
const levels = Array.from({ length: 30 }, (_, level) => level);

test.each<[what: string, schema: Record<string, unknown>]>([
  ["a huge bound", { type: "string", maxLength: 1e9 }],
  ["a huge lower bound", { type: "array", items: {}, minItems: 1e9 }],
  ["a huge repetition in a pattern", { pattern: "^(a{1000}b){1000}$" }],
  [
    "bounds that multiply",
    {
      type: "array",
      maxItems: 1e3,
      items: {
        type: "array",
        maxItems: 1e3,
        items: { type: "array", maxItems: 1e3, items: { type: "null" } },
      },
    },
  ],
  [
    "alternatives that double at every level",
    {
      $ref: "#/$defs/l29",
      $defs: Object.fromEntries(
        levels.flatMap((level) => [
          [`l${level}`, branch(level)],
          [`m${level}`, branch(level)],
        ]),
      ),
    },
  ],
  [
    "alternatives that multiply by allOf",
    { allOf: levels.map((level) => ({ anyOf: [{ required: [`a${level}`] }, { required: [`b${level}`] }] })) },
  ],
  [
    "objects that are read twice at every level",
    {
      $ref: "#/$defs/a",
      $defs: {
        a: {
          anyOf: [
            { type: "object", properties: { next: { $ref: "#/$defs/a" }, x: {} } },
            { type: "object", properties: { next: { $ref: "#/$defs/a" }, y: {} } },
          ],
        },
      },
    },
  ],
  [
    "objects read twice by way of another",
    {
      $ref: "#/$defs/a",
      $defs: {
        a: {
          type: "object",
          properties: {
            first: { $ref: "#/$defs/b" },
            second: {
              anyOf: [
                { type: "array", items: { $ref: "#/$defs/b" } },
                { type: "array", items: { type: "null" } },
              ],
            },
          },
        },
        b: { type: "object", properties: { a: { $ref: "#/$defs/a" } } },
      },
    },
  ],
  [
    "texts read side by side",
    { anyOf: levels.concat(levels, levels).map((_, at) => ({ pattern: `^.*${at}$` })) },
  ],
  [
    "patterns side by side that are ambiguous",
    { anyOf: levels.map((level) => ({ pattern: `^.*a.{9}${level}$` })) },
  ],
  ["lists read side by side", { enum: Array.from({ length: 200 }, (_, value) => [value]) }],
  [
    "a pattern that is endless",
    { pattern: Array.from({ length: 3_000 }, (_, at) => `${String.fromCodePoint(0x100 + at)}?`).join("") },
  ],
  ["a reference to itself", { $ref: "#" }],
  [
    "references in a ring",
    {
      $ref: "#/$defs/a",
      $defs: { a: { anyOf: [{ $ref: "#/$defs/b" }] }, b: { allOf: [{ $ref: "#/$defs/a" }] } },
    },
  ],
  ["nesting without end", deep(500)],
  ["a list of too many values", { enum: Array.from({ length: 20_000 }, (_, value) => value) }],
  [
    "too many members",
    { properties: Object.fromEntries(Array.from({ length: 5_000 }, (_, at) => [`member${at}`, {}])) },
  ],
  ["too much text", { const: "x".repeat(300_000) }],
])("refuses %s", (_what, schema) => {
  expect(() => schemaGrammar(schema)).toThrow(
    expect.objectContaining({ code: "invalid_request", param: "response_format" }),
  );
});

test("schemas that refer to each other through allOf do not grow as they are merged", async () => {
  const [a, b] = [{ $ref: "#/$defs/a" }, { $ref: "#/$defs/b" }];
  const node = (name: string, allOf: unknown[]) => ({
    type: "object",
    properties: { next: { allOf }, [name]: { type: "integer" } },
    required: [name],
  });
  const schema = { allOf: [a, b], $defs: { a: node("x", [a, b]), b: node("y", [b, a]) } };
  const takes = await grammarTakes(llama, schemaGrammar(schema));
  expect(takes('{"next":{"next":{"x":1,"y":2},"x":1,"y":2},"x":3,"y":4}')).toBe(true);
  expect(takes('{"next":{"x":1},"x":3,"y":4}')).toBe(false);
});

test("the largest schemas that are accepted can be read by llama.cpp", async () => {
  const members = Array.from({ length: 600 }, (_, at) => [`member ${at}`, { type: "boolean" }]);
  const large = [
    { type: "object", properties: Object.fromEntries(members) },
    { type: "array", maxItems: 100, items: { type: "string", maxLength: 9_800 } },
    { enum: Array.from({ length: 2_000 }, (_, at) => `value ${(at * 7_919) % 100_003}`) },
    {
      anyOf: Array.from({ length: 60 }, (_, at) => ({
        properties: { kind: { const: at }, is: {} },
        required: ["kind"],
      })),
    },
  ];
  for (const schema of large) {
    const takes = await grammarTakes(llama, schemaGrammar(schema));
    expect(takes("nothing of it")).toBe(false);
  }
});
