import type { JsonSchema } from "./schema-keywords.ts";

const keys = new WeakMap<object, string>();

/** The schema as JSON, by which equal ones are known; an object's is written once. */
export function keyOf(schema: JsonSchema): string {
  if (typeof schema === "boolean") return String(schema);
  const known = keys.get(schema);
  if (known !== undefined) return known;
  const key = JSON.stringify(schema);
  keys.set(schema, key);
  return key;
}
