import { literal } from "../gbnf/gbnf-text.ts";
import { jsonText } from "./json-text.ts";
import type { ObjectMember, ObjectMembers } from "./object-members.ts";
import { otherKey } from "./other-keys.ts";
import type { JsonSchema } from "./schema-keywords.ts";
import { composed, type ValueText, type ValueWriter } from "./value-text.ts";

/**
 * The objects of these members. Each member knows what may come after it: a comma and one of the next
 * keys, or the end. The quote before the keys is shared, so that only their characters are alternatives.
 */
export function objectText(writer: ValueWriter, { members, others }: ObjectMembers, path: string): ValueText {
  const { rules } = writer;
  if (members.length === 0 && others === true) return composed(jsonText.object(rules), []);
  const [blank, comma] = [jsonText.blank(rules), jsonText.comma(rules)];
  const values: ValueText[] = [];
  const other = others === null ? null : otherMembers(writer, others, members, path);
  if (other !== null) values.push(other.value);
  let keys = other?.keys ?? null;
  let rest = other?.rest ?? rules.add("end", `${blank} "}"`);
  let end: "possible" | "not yet" = "possible";
  for (const { name, schema, presence, path: memberPath } of members.toReversed()) {
    const value = writer.value(schema, memberPath);
    values.push(value);
    const member = `${literal(JSON.stringify(name).slice(1))} ${jsonText.colon(rules)} ${value.text} ${rest}`;
    keys = rules.add("key", presence === "required" || keys === null ? member : `${member} | ${keys}`);
    if (presence === "required") end = "not yet";
    rest = rules.add("rest", `${comma} "\\"" ${keys}${end === "possible" ? ` | ${blank} "}"` : ""}`);
  }
  const begin = [...(keys === null ? [] : [`"\\"" ${keys}`]), ...(end === "possible" ? ['"}"'] : [])];
  return composed(`"{" ${blank} ${rules.add("members", begin.join(" | "))}`, values);
}

/** Members beside the named ones come last, as many as the model likes. */
function otherMembers(
  writer: ValueWriter,
  schema: JsonSchema,
  members: readonly ObjectMember[],
  path: string,
): { keys: string; rest: string; value: ValueText } {
  const { rules } = writer;
  const value = writer.value(schema, `${path}/additionalProperties`);
  const key = otherKey(
    rules,
    members.map(({ name }) => name),
  );
  const rest = rules.reserve("rest");
  const keys = rules.add("key", `${key} ${jsonText.colon(rules)} ${value.text} ${rest}`);
  rules.define(rest, `${jsonText.comma(rules)} "\\"" ${keys} | ${jsonText.blank(rules)} "}"`);
  return { keys, rest, value };
}
