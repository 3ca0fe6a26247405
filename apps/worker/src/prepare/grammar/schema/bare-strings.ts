import type { GrammarRules } from "../gbnf/grammar-rules.ts";
import { literalTrie } from "../gbnf/literal-trie.ts";
import { allowedTypes, type FlatSchema } from "./flat-schema.ts";
import { allowedConstants } from "./literal-values.ts";
import { stringText, type TextSpelling } from "./string-text.ts";
import type { ValueText } from "./value-text.ts";

/**
 * The strings and the null among the values of the alternatives, without quotes; null: strings without any bound are among them.
 * @param refuse throws
 */
export function boundedStrings(
  rules: GrammarRules,
  alternatives: readonly FlatSchema[],
  spelling: TextSpelling,
  refuse: (keyword: string, problem: string) => never,
): ValueText[] | null {
  const texts: ValueText[] = [];
  const literals = new Set<string>();
  for (const flat of alternatives) {
    const constants = allowedConstants(flat, refuse);
    for (const value of constants ?? []) {
      if (typeof value === "string" || value === null) literals.add(value ?? "null");
    }
    if (constants !== null) continue;
    const types = allowedTypes(flat);
    if (types?.has("null")) literals.add("null");
    // Bounds of other types, where no type is named, bind no string.
    if (types !== null && !types.has("string") && flat.types === null) return null;
    if (types !== null && !types.has("string")) continue;
    if ([flat.minLength, flat.maxLength, flat.pattern, flat.format].every((bound) => bound === null))
      return null;
    const text = stringText(rules, flat, spelling, refuse);
    if (text !== null) texts.push(text);
  }
  if (literals.size === 0) return texts;
  const entries = Array.from(literals, (text) => ({ text, tail: "" }));
  return [{ text: literalTrie(rules, entries), nested: 1, parallel: 1 }, ...texts];
}
