import { GRAMMAR_LIMITS } from "../gbnf/grammar-limits.ts";
import type { GrammarRules } from "../gbnf/grammar-rules.ts";
import { literalTrie } from "../gbnf/literal-trie.ts";
import { allowedTypes, type FlatSchema } from "./flat-schema.ts";
import { jsonSpelledSet, jsonText } from "./json-text.ts";
import { allowedConstants, isScalar } from "./literal-values.ts";
import { integerRange, isUnbounded, numberRange } from "./number-range.ts";
import type { SchemaType } from "./schema-keywords.ts";
import { stringText, type TextSpelling } from "./string-text.ts";
import type { ValueText } from "./value-text.ts";

type Refuse = (keyword: string, problem: string) => never;

const JSON_SPELLING: TextSpelling = { character: jsonText.character, set: jsonSpelledSet };

/**
 * The strings, numbers, booleans and null that the alternatives allow.
 * @param refuse throws
 */
export function scalarTexts(
  rules: GrammarRules,
  alternatives: readonly FlatSchema[],
  refuse: Refuse,
): ValueText[] {
  const literals = new Set<string>();
  const texts = new Map<string, ValueText>();
  for (const flat of alternatives) {
    for (const value of allowedConstants(flat, refuse) ?? []) {
      if (isScalar(value)) literals.add(JSON.stringify(value));
    }
    if (flat.values !== null) continue;
    for (const type of allowedTypes(flat) ?? []) {
      if (type === "null") literals.add("null");
      else if (type === "boolean") literals.add("true").add("false");
      else {
        const value = boundText(rules, type, flat, refuse);
        if (value !== null) texts.set(value.text, value);
      }
    }
  }
  if (literals.size > GRAMMAR_LIMITS.literals)
    refuse("enum", `has more than ${GRAMMAR_LIMITS.literals} values`);
  if (literals.size === 0) return [...texts.values()];
  const entries = Array.from(literals, (text) => ({ text, tail: "" }));
  return [{ text: literalTrie(rules, entries), nested: 1, parallel: 1 }, ...texts.values()];
}

/** The strings or numbers within a schema's bounds; null: there are none, or they are none of these types. */
function boundText(
  rules: GrammarRules,
  type: SchemaType,
  flat: FlatSchema,
  refuse: Refuse,
): ValueText | null {
  switch (type) {
    case "string": {
      const value = stringText(rules, flat, JSON_SPELLING, refuse);
      return value === null ? null : { ...value, text: `"\\"" ${value.text} "\\""` };
    }
    case "integer":
    case "number": {
      const text = numberText(rules, type, flat, refuse);
      return text === null ? null : { text, nested: 1, parallel: 1 };
    }
    default:
      return null;
  }
}

function numberText(
  rules: GrammarRules,
  type: "integer" | "number",
  flat: FlatSchema,
  refuse: Refuse,
): string | null {
  if (isUnbounded(flat)) return jsonText[type](rules);
  try {
    const range = type === "integer" ? integerRange(flat) : numberRange(flat);
    return range === null ? null : rules.add("range", range);
  } catch (error) {
    if (error instanceof RangeError) refuse("type", error.message);
    throw error;
  }
}
