import { ANY_SCHEMA, type FlatSchema, intersectTypes, intersectValues } from "./flat-schema.ts";
import { keyOf } from "./schema-key.ts";
import type { JsonSchema } from "./schema-keywords.ts";

/**
 * What satisfies both schemas; null: nothing does.
 * @param refuse throws: both demand what can't be demanded together
 */
export function mergeSchemas(
  a: FlatSchema,
  b: FlatSchema,
  refuse: (keyword: string, problem: string) => never,
): FlatSchema | null {
  if (a === ANY_SCHEMA) return b;
  if (b === ANY_SCHEMA) return a;
  const types = intersectTypes(a.types, b.types);
  if (types?.size === 0) return null;
  const values = intersectValues(a.values, b.values);
  if (values?.length === 0) return null;
  const same = <Value>(keyword: string, one: Value | null, other: Value | null): Value | null => {
    if (one !== null && other !== null && one !== other)
      refuse(keyword, "can't be combined with another one");
    return one ?? other;
  };
  return {
    types,
    values,
    minimum: highest(a.minimum, b.minimum),
    maximum: lowest(a.maximum, b.maximum),
    exclusiveMinimum: highest(a.exclusiveMinimum, b.exclusiveMinimum),
    exclusiveMaximum: lowest(a.exclusiveMaximum, b.exclusiveMaximum),
    minLength: highest(a.minLength, b.minLength),
    maxLength: lowest(a.maxLength, b.maxLength),
    pattern: same("pattern", a.pattern, b.pattern),
    format: same("format", a.format, b.format),
    properties: mergeProperties(a, b),
    names: a.names === "declared" || b.names === "declared" ? "declared" : "free",
    required: new Set([...a.required, ...b.required]),
    additional: both(a.additional, b.additional),
    minProperties: highest(a.minProperties, b.minProperties),
    maxProperties: lowest(a.maxProperties, b.maxProperties),
    items: both(a.items, b.items),
    prefixItems: mergePrefixes(a, b),
    minItems: highest(a.minItems, b.minItems),
    maxItems: lowest(a.maxItems, b.maxItems),
  };
}

/** A property that only one schema declares has to suit the other's `additionalProperties`. */
function mergeProperties(a: FlatSchema, b: FlatSchema): ReadonlyMap<string, JsonSchema> {
  const names = new Set([...a.properties.keys(), ...b.properties.keys()]);
  return new Map(
    Array.from(names, (name) => {
      const merged = both(a.properties.get(name) ?? a.additional, b.properties.get(name) ?? b.additional);
      return [name, merged ?? true];
    }),
  );
}

function mergePrefixes(a: FlatSchema, b: FlatSchema): JsonSchema[] {
  const length = Math.max(a.prefixItems.length, b.prefixItems.length);
  return Array.from(
    { length },
    (_, at) => both(a.prefixItems[at] ?? a.items, b.prefixItems[at] ?? b.items) ?? true,
  );
}

/** null: not said. */
function both(a: JsonSchema | null, b: JsonSchema | null): JsonSchema | null {
  if (a === null || b === null) return a ?? b;
  if (a === false || b === false) return false;
  if (a === true || b === true) return a === true ? b : a;
  if (a === b) return a;
  const parts = new Map([...partsOf(a), ...partsOf(b)].map((part) => [keyOf(part), part]));
  const [only, second] = parts.values();
  return second === undefined ? (only ?? true) : { allOf: [...parts.values()] };
}

/** Flat, and each part once: schemas that refer to each other would else grow at every level that is merged. */
function partsOf(schema: JsonSchema): readonly JsonSchema[] {
  if (typeof schema === "boolean" || !Array.isArray(schema.allOf) || schema.allOf.length === 0)
    return [schema];
  return Object.keys(schema).length === 1 ? schema.allOf : [schema];
}

function highest(a: number | null, b: number | null): number | null {
  return a === null || b === null ? (a ?? b) : Math.max(a, b);
}

function lowest(a: number | null, b: number | null): number | null {
  return a === null || b === null ? (a ?? b) : Math.min(a, b);
}
