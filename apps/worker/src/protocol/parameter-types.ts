import { pointedAt, referenceSteps } from "@quern/shared/contract/schema-reference";

/** A JSON value's type in JSON Schema's words; an integer is a number here. */
export type JsonType = "string" | "number" | "boolean" | "object" | "array" | "null";

/**
 * The types that a parameter of a tool may have, as far as its schema names them: by `type`, by the values of `enum`
 * and `const`, through `anyOf`, `oneOf`, `allOf` and local references. Empty: the schema says nothing.
 *
 * @param parameters the tool's whole parameter schema, which local references point into
 */
export function parameterTypes(parameters: unknown, name: string): ReadonlySet<JsonType> {
  const properties = memberOf(parameters, "properties");
  return new Set(typesOf(memberOf(properties, name), parameters, new Set()));
}

/** `followed`: references, each of which counts once. */
function typesOf(schema: unknown, root: unknown, followed: Set<string>): JsonType[] {
  const type = memberOf(schema, "type");
  if (type !== undefined) return [type].flat().flatMap((name) => named(name) ?? []);
  const values = memberOf(schema, "enum");
  if (Array.isArray(values)) return values.map(typeOf);
  if (isObject(schema) && Object.hasOwn(schema, "const")) return [typeOf(schema.const)];
  const reference = memberOf(schema, "$ref");
  if (typeof reference === "string") {
    const steps = referenceSteps(reference);
    if (steps === null || followed.has(reference)) return [];
    followed.add(reference);
    return typesOf(pointedAt(root, steps), root, followed);
  }
  return ["anyOf", "oneOf", "allOf"].flatMap((keyword) => {
    const branches = memberOf(schema, keyword);
    return Array.isArray(branches) ? branches.flatMap((branch) => typesOf(branch, root, followed)) : [];
  });
}

function named(type: unknown): JsonType | null {
  switch (type) {
    case "integer":
      return "number";
    case "string":
    case "number":
    case "boolean":
    case "object":
    case "array":
    case "null":
      return type;
    default:
      return null;
  }
}

export function typeOf(value: unknown): JsonType {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  switch (typeof value) {
    case "string":
    case "number":
    case "boolean":
      return typeof value as JsonType;
    default:
      return "object";
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function memberOf(value: unknown, name: string): unknown {
  return isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
}
