import type { FlatSchema } from "./flat-schema.ts";
import type { SchemaAlternatives } from "./schema-alternatives.ts";
import type { JsonSchema } from "./schema-keywords.ts";

export interface ObjectMember {
  name: string;
  schema: JsonSchema;
  presence: "required" | "optional";
  path: string;
}

export interface ObjectMembers {
  /** In the order they are written. */
  members: readonly ObjectMember[];
  /** What other members hold; null: there are no others. */
  others: JsonSchema | null;
}

/**
 * What an object has: the declared properties in their order, then those only `required` names. Properties beside the
 * declared ones are written only where `additionalProperties` asks for them. null: no object satisfies the schema.
 */
export function objectMembers(
  flat: FlatSchema,
  alternatives: SchemaAlternatives,
  path: string,
): ObjectMembers | null {
  const members: ObjectMember[] = [];
  const names = new Set([...flat.properties.keys(), ...flat.required]);
  for (const name of names) {
    const schema = flat.properties.get(name) ?? flat.additional ?? true;
    const member: ObjectMember = {
      name,
      schema,
      presence: flat.required.has(name) ? "required" : "optional",
      path: `${path}/properties/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`,
    };
    if (alternatives.of(schema, member.path).length > 0) members.push(member);
    else if (member.presence === "required") return null;
  }
  const allowed = flat.additional ?? flat.names === "free";
  const others = alternatives.of(allowed, `${path}/additionalProperties`).length === 0 ? null : allowed;
  checkCounts(flat, members, others, alternatives, path);
  return { members, others };
}

/** Numbers of properties are not counted: they have to hold by themselves. */
function checkCounts(
  flat: FlatSchema,
  members: readonly ObjectMember[],
  others: JsonSchema | null,
  alternatives: SchemaAlternatives,
  path: string,
): void {
  const required = members.filter(({ presence }) => presence === "required").length;
  if ((flat.minProperties ?? 0) > required) {
    alternatives.refuse(
      `${path}/minProperties`,
      "is more than the required properties: name them in required",
    );
  }
  const most = others === null ? members.length : Number.POSITIVE_INFINITY;
  if (most > (flat.maxProperties ?? Number.POSITIVE_INFINITY)) {
    alternatives.refuse(`${path}/maxProperties`, "is less than the properties that are allowed");
  }
}
