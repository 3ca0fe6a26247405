import { typeOf } from "../../../protocol/parameter-types.ts";
import { literal } from "../gbnf/gbnf-text.ts";
import type { GrammarRules } from "../gbnf/grammar-rules.ts";
import { allowedTypes, type FlatSchema } from "./flat-schema.ts";
import { jsonText } from "./json-text.ts";

export function isScalar(value: unknown): boolean {
  return typeof value !== "object" || value === null;
}

/**
 * The values of `enum` and `const` that meet the demands beside them; null: neither is there.
 * @param refuse throws: beside them stands what is not looked into
 */
export function allowedConstants(
  flat: FlatSchema,
  refuse: (keyword: string, problem: string) => never,
): readonly unknown[] | null {
  if (flat.values === null) return null;
  const allowed = flat.values.filter((value) => satisfies(flat, value));
  const implied = allowedTypes({ ...flat, types: null, values: null });
  const unread = (value: unknown) =>
    typeof value === "string" ? flat.pattern !== null : !isScalar(value) && implied?.has(typeOf(value));
  if (allowed.some(unread)) {
    refuse("enum", "can't be combined with patterns, or demands on items or properties");
  }
  return allowed;
}

/** Whether a value meets the type, number and length demands. */
function satisfies(flat: FlatSchema, value: unknown): boolean {
  const type = typeOf(value);
  if (flat.types !== null && !flat.types.has(type) && !(flat.types.has("integer") && Number.isInteger(value)))
    return false;
  if (typeof value === "number") {
    return (
      value >= (flat.minimum ?? value) &&
      value <= (flat.maximum ?? value) &&
      value > (flat.exclusiveMinimum ?? Number.NEGATIVE_INFINITY) &&
      value < (flat.exclusiveMaximum ?? Number.POSITIVE_INFINITY)
    );
  }
  if (typeof value !== "string") return true;
  const length = Array.from(value).length;
  return length >= (flat.minLength ?? 0) && length <= (flat.maxLength ?? length);
}

/** One certain object or array, with the blanks that JSON may have. */
export function constantText(rules: GrammarRules, value: unknown): string {
  if (isScalar(value)) return literal(JSON.stringify(value));
  const blank = jsonText.blank(rules);
  const separator = ` ${jsonText.comma(rules)} `;
  const list = (open: string, items: string[], close: string) =>
    `"${open}" ${blank} ${items.length === 0 ? "" : `${items.join(separator)} ${blank}`} "${close}"`;
  if (Array.isArray(value)) {
    return list(
      "[",
      value.map((item) => constantText(rules, item)),
      "]",
    );
  }
  const members = Object.entries(value as object).map(
    ([name, member]) =>
      `${literal(JSON.stringify(name))} ${jsonText.colon(rules)} ${constantText(rules, member)}`,
  );
  return list("{", members, "}");
}
