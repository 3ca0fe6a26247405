import { QuernError } from "../contract/errors.ts";
import { pointedAt, referenceSteps } from "../contract/schema-reference.ts";
import { pathText } from "./first-fault.ts";

type Json = Record<string, unknown>;

/** What a grammar can be made of in milliseconds; several times what people's own schemas need. */
const MAX_SCHEMA_BYTES = 32 * 2 ** 10;
const MAX_SCHEMA_DEPTH = 16;
const MAX_SCHEMA_PROPERTIES = 256;

/** Keywords whose value is a schema or a list of schemas. https://json-schema.org/draft/2020-12/schema, and older. */
const SCHEMA_KEYWORDS = [
  ...["items", "prefixItems", "additionalItems", "unevaluatedItems", "contains"],
  ...["additionalProperties", "unevaluatedProperties", "propertyNames", "contentSchema"],
  ...["allOf", "anyOf", "oneOf", "not", "if", "then", "else"],
];
/** Keywords whose value has a schema under each of its keys. */
const MAP_KEYWORDS = [
  ...["properties", "patternProperties", "dependentSchemas", "dependencies"],
  ...["$defs", "definitions"],
];

interface Place {
  schema: Json;
  path: PropertyKey[];
  /** 1: the schema itself. */
  depth: number;
}

/**
 * Refuses a JSON schema that is too large, too deep or not whole in itself, without a word on its other keywords. A
 * `$ref` may lead to the schema itself or to any place within it, also in circles; each definition counts once.
 * @param path where the schema stands in the request, for the message.
 * @throws QuernError `invalid_request` with what is too much, the limit, and the place.
 */
export function refuseUnboundedSchema(root: Json, path: PropertyKey[]): void {
  const bytes = Buffer.byteLength(JSON.stringify(root));
  if (bytes > MAX_SCHEMA_BYTES) {
    throw refusal(
      path,
      `the schema has ${bytes} bytes; the limit is ${MAX_SCHEMA_BYTES}: leave out what nobody needs`,
    );
  }
  const seen = new Set<Json>();
  const waiting: Place[] = [{ schema: root, path, depth: 1 }];
  // Looked at last: what a reference leads to stands elsewhere in nearly every schema, and was counted there.
  const referred: Place[] = [];
  let properties = 0;
  for (let place = waiting.pop(); place !== undefined; place = waiting.pop() ?? referred.pop()) {
    if (seen.has(place.schema)) continue;
    seen.add(place.schema);
    refuseDeep(place);
    properties += Object.keys(asObject(place.schema.properties) ?? {}).length;
    if (properties > MAX_SCHEMA_PROPERTIES) {
      throw refusal(
        path,
        `the schema has more than ${MAX_SCHEMA_PROPERTIES} properties in all: split or shorten it`,
      );
    }
    waiting.push(...placesIn(place));
    referred.push(...referredBy(place, root, path));
  }
}

function refuseDeep({ depth, path }: Place): void {
  if (depth <= MAX_SCHEMA_DEPTH) return;
  throw refusal(
    path,
    `is nested deeper than ${MAX_SCHEMA_DEPTH} schemas: move inner ones to $defs and refer to them`,
  );
}

function placesIn({ schema, path, depth }: Place): Place[] {
  const found: [steps: PropertyKey[], value: unknown][] = [];
  for (const keyword of SCHEMA_KEYWORDS) {
    const value = schema[keyword];
    if (Array.isArray(value))
      found.push(...value.map((item, i): [PropertyKey[], unknown] => [[keyword, i], item]));
    else found.push([[keyword], value]);
  }
  for (const keyword of MAP_KEYWORDS) {
    for (const [key, value] of Object.entries(asObject(schema[keyword]) ?? {}))
      found.push([[keyword, key], value]);
  }
  return found.flatMap(([steps, value]) => {
    const inner = asObject(value);
    return inner === null ? [] : [{ schema: inner, path: [...path, ...steps], depth: depth + 1 }];
  });
}

/** @throws QuernError when the reference leads out of the schema, or nowhere. */
function referredBy({ schema, path }: Place, root: Json, rootPath: PropertyKey[]): Place[] {
  if (!Object.hasOwn(schema, "$ref")) return [];
  const reference = schema.$ref;
  const place = [...path, "$ref"];
  const steps = typeof reference === "string" ? referenceSteps(reference) : null;
  if (steps === null) throw refusal(place, "must be '#' or '#/…': only the schema itself is read");
  const target = pointedAt(root, steps);
  // `true` and `false` are schemas too, with nothing in them.
  if (typeof target === "boolean") return [];
  const referredSchema = asObject(target);
  if (referredSchema === null)
    throw refusal(place, `${reference} leads to no schema: define it, or correct the name`);
  return [{ schema: referredSchema, path: [...rootPath, ...steps], depth: 1 }];
}

function asObject(value: unknown): Json | null {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : null;
}

function refusal(path: PropertyKey[], why: string): QuernError {
  const param = pathText(path);
  return new QuernError("invalid_request", `${param}: ${why}`, { param });
}
