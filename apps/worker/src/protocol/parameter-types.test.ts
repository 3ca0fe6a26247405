import { expect, test } from "vitest";
import { parameterTypes } from "./parameter-types.ts";

const typesOf = (schema: unknown, $defs: object = {}) =>
  [...parameterTypes({ properties: { p: schema }, $defs }, "p")].sort();

test.each<[schema: unknown, types: string[]]>([
  [{ type: "integer" }, ["number"]],
  [{ type: ["string", "null"], enum: ["a", null] }, ["null", "string"]],
  [{ enum: [1, "a", [], {}] }, ["array", "number", "object", "string"]],
  [{ const: true }, ["boolean"]],
  [{ anyOf: [{ $ref: "#/$defs/city" }, { type: "null" }] }, ["null", "string"]],
  [{ $ref: "https://example.com/schema" }, []],
  [{ $ref: "#/$defs/nothing" }, []],
  [{}, []],
  [undefined, []],
])("%j names its types", (schema, types) => {
  expect(typesOf(schema, { city: { type: "string" } })).toEqual(types);
});

test("references that lead to each other many times over are followed once", () => {
  const everywhere = { anyOf: Array.from({ length: 20 }, (_, at) => ({ $ref: `#/$defs/d${at}` })) };
  const $defs = Object.fromEntries(Array.from({ length: 20 }, (_, at) => [`d${at}`, everywhere]));
  expect(typesOf(everywhere, { ...$defs, d19: { type: "array" } })).toEqual(["array"]);
});
