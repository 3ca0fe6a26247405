import { STRING_FORMATS } from "../pattern/string-formats.ts";
import type { JsonSchema, SchemaKeywords, SchemaType } from "./schema-keywords.ts";

/** A schema without references, `allOf`, `anyOf` and `oneOf` at its top: what one alternative demands. */
export interface FlatSchema {
  /** null: any. `number` includes `integer`. */
  types: ReadonlySet<SchemaType> | null;
  /** The only values allowed; null: not limited so. */
  values: readonly unknown[] | null;
  minimum: number | null;
  maximum: number | null;
  exclusiveMinimum: number | null;
  exclusiveMaximum: number | null;
  minLength: number | null;
  maxLength: number | null;
  pattern: string | null;
  format: string | null;
  properties: ReadonlyMap<string, JsonSchema>;
  /** Whether `properties` stands there, if only as `{}`. */
  names: "declared" | "free";
  required: ReadonlySet<string>;
  /** null: not said. */
  additional: JsonSchema | null;
  minProperties: number | null;
  maxProperties: number | null;
  items: JsonSchema | null;
  prefixItems: readonly JsonSchema[];
  minItems: number | null;
  maxItems: number | null;
}

export const ANY_SCHEMA: FlatSchema = {
  types: null,
  values: null,
  minimum: null,
  maximum: null,
  exclusiveMinimum: null,
  exclusiveMaximum: null,
  minLength: null,
  maxLength: null,
  pattern: null,
  format: null,
  properties: new Map(),
  names: "free",
  required: new Set(),
  additional: null,
  minProperties: null,
  maxProperties: null,
  items: null,
  prefixItems: [],
  minItems: null,
  maxItems: null,
};

/** @param refuse throws: a keyword whose value can't be enforced */
export function toFlatSchema(
  keywords: SchemaKeywords,
  refuse: (keyword: string, problem: string) => never,
): FlatSchema {
  if (keywords.multipleOf !== undefined && keywords.multipleOf !== 1) refuse("multipleOf", "can be 1 only");
  if (keywords.uniqueItems === true && (keywords.maxItems ?? 2) > 1)
    refuse("uniqueItems", "is not supported");
  const types = keywords.type === undefined ? null : new Set([keywords.type].flat());
  return {
    types: keywords.multipleOf === 1 ? intersectTypes(types, new Set(["integer"])) : types,
    values: intersectValues(keywords.enum ?? null, "const" in keywords ? [keywords.const] : null),
    minimum: keywords.minimum ?? null,
    maximum: keywords.maximum ?? null,
    exclusiveMinimum: keywords.exclusiveMinimum ?? null,
    exclusiveMaximum: keywords.exclusiveMaximum ?? null,
    minLength: keywords.minLength ?? null,
    maxLength: keywords.maxLength ?? null,
    pattern: keywords.pattern ?? null,
    format: keywords.format ?? null,
    properties: new Map(Object.entries(keywords.properties ?? {})),
    names: keywords.properties === undefined ? "free" : "declared",
    required: new Set(keywords.required),
    additional: keywords.additionalProperties ?? null,
    minProperties: keywords.minProperties ?? null,
    maxProperties: keywords.maxProperties ?? null,
    items: keywords.items ?? null,
    prefixItems: keywords.prefixItems ?? [],
    minItems: keywords.minItems ?? null,
    maxItems: keywords.maxItems ?? null,
  };
}

/**
 * The types a value may have; null: any. Keywords of one type alone bind only values of that type, but whoever writes
 * them without `type` means it.
 */
export function allowedTypes(flat: FlatSchema): ReadonlySet<SchemaType> | null {
  if (flat.types !== null || flat.values !== null) return flat.types;
  const bounds = [flat.minimum, flat.maximum, flat.exclusiveMinimum, flat.exclusiveMaximum];
  const implied: SchemaType[] = [];
  if (bounds.some((bound) => bound !== null)) implied.push("number");
  const texts = [flat.minLength, flat.maxLength, flat.pattern, STRING_FORMATS.get(flat.format ?? "") ?? null];
  if (texts.some((bound) => bound !== null)) implied.push("string");
  const counts = [flat.additional, flat.minProperties, flat.maxProperties];
  if (flat.names === "declared" || flat.required.size > 0 || counts.some((bound) => bound !== null)) {
    implied.push("object");
  }
  const lengths = [flat.items, flat.minItems, flat.maxItems];
  if (flat.prefixItems.length > 0 || lengths.some((bound) => bound !== null)) implied.push("array");
  return implied.length === 0 ? null : new Set(implied);
}

/** Types that both allow; null stands for all. */
export function intersectTypes(
  a: ReadonlySet<SchemaType> | null,
  b: ReadonlySet<SchemaType> | null,
): ReadonlySet<SchemaType> | null {
  if (a === null || b === null) return a ?? b;
  const allows = (types: ReadonlySet<SchemaType>, type: SchemaType) =>
    types.has(type) || (type === "integer" && types.has("number"));
  return new Set([...a, ...b].filter((type) => allows(a, type) && allows(b, type)));
}

/** Values that stand in both lists; null stands for all. */
export function intersectValues(
  a: readonly unknown[] | null,
  b: readonly unknown[] | null,
): readonly unknown[] | null {
  if (a === null || b === null) return a ?? b;
  const spelled = new Set(b.map((value) => JSON.stringify(value)));
  return a.filter((value) => spelled.has(JSON.stringify(value)));
}
