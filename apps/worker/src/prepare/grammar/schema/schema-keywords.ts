import { z } from "zod";

/** A JSON schema as it was sent: `true` allows everything, `false` nothing. */
export type JsonSchema = boolean | { readonly [keyword: string]: unknown };

const SCHEMA_TYPES = ["null", "boolean", "integer", "number", "string", "array", "object"] as const;
export type SchemaType = (typeof SCHEMA_TYPES)[number];

const schema = z.custom<JsonSchema>(
  (value) => typeof value === "boolean" || isSchemaObject(value),
  "must be a schema",
);
const schemaList = z.array(schema).min(1);
const count = z.int().nonnegative();
const type = z.enum(SCHEMA_TYPES);

/**
 * The keywords that are enforced, with the form of their values. Keywords that JSON Schema does not know are notes, as
 * `title` and `description` are.
 */
const KEYWORDS = {
  $ref: z.string(),
  allOf: schemaList,
  anyOf: schemaList,
  oneOf: schemaList,
  type: z.union([type, z.array(type).min(1)]),
  enum: z.array(z.unknown()).min(1),
  const: z.unknown(),
  minimum: z.number(),
  maximum: z.number(),
  exclusiveMinimum: z.number(),
  exclusiveMaximum: z.number(),
  multipleOf: z.number().positive(),
  minLength: count,
  maxLength: count,
  pattern: z.string(),
  format: z.string(),
  properties: z.custom<{ readonly [name: string]: JsonSchema }>(isSchemaObject, "must be an object"),
  required: z.array(z.string()),
  additionalProperties: schema,
  minProperties: count,
  maxProperties: count,
  propertyNames: schema,
  unevaluatedProperties: z.literal(false),
  items: schema,
  prefixItems: schemaList,
  unevaluatedItems: z.literal(false),
  minItems: count,
  maxItems: count,
  uniqueItems: z.boolean(),
};
type KeywordName = keyof typeof KEYWORDS;
export type SchemaKeywords = { [Name in KeywordName]?: z.infer<(typeof KEYWORDS)[Name]> };

/** Keywords of JSON Schema that no grammar can express, or none of a useful size. */
const UNSUPPORTED = new Set([
  "not",
  "if",
  "dependentRequired",
  "dependentSchemas",
  "dependencies",
  "patternProperties",
  "contains",
  "$dynamicRef",
  "$recursiveRef",
]);

/**
 * A schema's own keywords, checked.
 * @param refuse throws: it is called with what is wrong, and at which keyword
 */
export function readKeywords(
  source: { readonly [keyword: string]: unknown },
  refuse: (keyword: string, problem: string) => never,
): SchemaKeywords {
  const keywords: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(withTuple(source))) {
    if (UNSUPPORTED.has(name)) refuse(name, "is not supported");
    if (!isKeyword(name)) continue;
    const read = KEYWORDS[name].safeParse(value);
    if (!read.success) refuse(name, `is malformed: ${read.error.issues[0]?.message}`);
    keywords[name] = read.data;
  }
  return keywords as SchemaKeywords;
}

/** Draft 7 has tuples in `items`, and in `additionalItems` what follows; later drafts know neither. */
function withTuple(source: { readonly [keyword: string]: unknown }): { readonly [keyword: string]: unknown } {
  if (!Array.isArray(source.items)) return source;
  const { items, additionalItems, ...others } = source;
  return {
    ...others,
    prefixItems: items,
    ...(additionalItems === undefined ? {} : { items: additionalItems }),
  };
}

function isKeyword(name: string): name is KeywordName {
  return Object.hasOwn(KEYWORDS, name);
}

function isSchemaObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
