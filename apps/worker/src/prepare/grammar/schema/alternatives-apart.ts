import { allowedTypes, type FlatSchema } from "./flat-schema.ts";
import type { ObjectMembers } from "./object-members.ts";
import type { SchemaAlternatives } from "./schema-alternatives.ts";
import type { JsonSchema, SchemaType } from "./schema-keywords.ts";

/** An array, or an object with its members. */
export type Composite =
  | { type: "array"; flat: FlatSchema }
  | { type: "object"; flat: FlatSchema; members: ObjectMembers };

/** In groups: what is read side by side stands in one, what parts early in another. */
export function readTogether(
  composites: readonly Composite[],
  alternatives: SchemaAlternatives,
): Composite[][] {
  let groups: Composite[][] = [];
  for (const composite of composites) {
    const joined = groups.filter((group) => group.some((other) => areAlike(composite, other, alternatives)));
    groups = [...groups.filter((group) => !joined.includes(group)), [...joined.flat(), composite]];
  }
  return groups;
}

function areAlike(a: Composite, b: Composite, alternatives: SchemaAlternatives): boolean {
  if (a.type === "array" || b.type === "array") return a.type === b.type;
  return !partEarly(a.members, b.members, alternatives);
}

/**
 * Whether two object schemas part before either has written an object or array: by their first keys, or by the values
 * of leading properties that both have. If they do not, every object within them is read twice, and so on inwards.
 */
function partEarly(one: ObjectMembers, other: ObjectMembers, alternatives: SchemaAlternatives): boolean {
  for (let at = 0; at < Math.max(one.members.length, other.members.length); at += 1) {
    const [keys, otherKeys] = [nextKeys(one, at), nextKeys(other, at)];
    if (keys === null || otherKeys === null) return false;
    if (disjoint(keys, otherKeys)) return true;
    const [member, twin] = [one.members[at], other.members[at]];
    if (member === undefined || twin === undefined || keys.size > 1 || otherKeys.size > 1) return false;
    if (member.presence === "optional" || twin.presence === "optional") return false;
    const values = beginnings(member.schema, alternatives, member.path);
    const otherValues = beginnings(twin.schema, alternatives, twin.path);
    if (valuesPart(values, otherValues)) return true;
    if (holdsMore(values) || holdsMore(otherValues)) return false;
  }
  return one.others === null && other.others === null;
}

/** The keys that may come next, from a member on; null: any. */
function nextKeys({ members, others }: ObjectMembers, from: number): Set<string> | null {
  const rest = members.slice(from);
  const firstRequired = rest.findIndex(({ presence }) => presence === "required");
  if (firstRequired === -1 && others !== null) return null;
  const possible = firstRequired === -1 ? rest : rest.slice(0, firstRequired + 1);
  return new Set(possible.map(({ name }) => name));
}

/** How the values of a schema begin: as one of some literals (spelled as JSON), or anyhow with a type. */
interface Beginnings {
  literals: Set<string>;
  types: Set<SchemaType>;
}

const ALL_TYPES: SchemaType[] = ["null", "boolean", "number", "string", "array", "object"];

function beginnings(schema: JsonSchema, alternatives: SchemaAlternatives, path: string): Beginnings {
  const found: Beginnings = { literals: new Set(), types: new Set() };
  for (const flat of alternatives.of(schema, path)) {
    for (const value of flat.values ?? []) found.literals.add(JSON.stringify(value));
    if (flat.values !== null) continue;
    for (const type of allowedTypes(flat) ?? ALL_TYPES) found.types.add(type === "integer" ? "number" : type);
  }
  return found;
}

function valuesPart(a: Beginnings, b: Beginnings): boolean {
  const mixed = (types: Set<SchemaType>, literals: Set<string>) =>
    [...literals].some((spelled) => types.has(typeSpelled(spelled)));
  return (
    disjoint(a.types, b.types) &&
    disjoint(a.literals, b.literals) &&
    !mixed(a.types, b.literals) &&
    !mixed(b.types, a.literals)
  );
}

function typeSpelled(json: string): SchemaType {
  const types: Record<string, SchemaType> = {
    '"': "string",
    "{": "object",
    "[": "array",
    n: "null",
    t: "boolean",
    f: "boolean",
  };
  return types[json.charAt(0)] ?? "number";
}

function holdsMore({ types, literals }: Beginnings): boolean {
  return types.has("object") || types.has("array") || [...literals].some((spelled) => /^[{[]/.test(spelled));
}

function disjoint<Value>(a: ReadonlySet<Value>, b: ReadonlySet<Value>): boolean {
  return [...a].every((value) => !b.has(value));
}
