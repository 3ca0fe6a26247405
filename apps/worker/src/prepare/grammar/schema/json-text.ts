import { type CodeRange, intersection } from "../gbnf/code-ranges.ts";
import { characterClass, literal } from "../gbnf/gbnf-text.ts";
import type { GrammarRules } from "../gbnf/grammar-rules.ts";

/**
 * What a JSON string may hold unescaped: no quote, backslash or control character, and no surrogate, which UTF-8
 * can't spell.
 */
export const UNESCAPED: readonly CodeRange[] = [
  [0x20, 0x21],
  [0x23, 0x5b],
  [0x5d, 0x7e],
  [0xa0, 0xd7ff],
  [0xe000, 0x10ffff],
];

/** Escapes that are one character each. `\u` is left to what is not text: half a surrogate pair would be no text. */
const SHORT_ESCAPES = new Map([
  [0x22, '\\"'],
  [0x5c, "\\\\"],
  [0x08, "\\b"],
  [0x0c, "\\f"],
  [0x0a, "\\n"],
  [0x0d, "\\r"],
  [0x09, "\\t"],
]);

/** Digits of numbers without bounds: as many as a double tells apart. */
const MAX_DIGITS = 15;

/**
 * The parts that all JSON grammars share. A model may write JSON in one line or indented: nothing, one space, or one
 * line break and at most twenty spaces or tabs between tokens. A bound keeps it from writing blanks for ever.
 */
export const jsonText = {
  blank: (rules: GrammarRules) => rules.add("blank", '| " " | "\\n" [ \\t]{0,20}'),
  colon: (rules: GrammarRules) => rules.add("colon", '":" | ": "'),
  comma: (rules: GrammarRules) => rules.add("comma", `"," ${jsonText.blank(rules)}`),
  character: (rules: GrammarRules) =>
    rules.add(
      "char",
      `${characterClass(UNESCAPED)} | "\\\\" (["\\\\/bfnrt] | "u" ([0-9a-cA-CefEF] [0-9a-fA-F] | [dD] [0-7]) [0-9a-fA-F]{2})`,
    ),
  string: (rules: GrammarRules) => rules.add("string", `"\\"" ${jsonText.character(rules)}* "\\""`),
  integer: (rules: GrammarRules) => rules.add("integer", `"-"? ("0" | [1-9] [0-9]{0,${MAX_DIGITS}})`),
  number: (rules: GrammarRules) =>
    rules.add(
      "number",
      `${jsonText.integer(rules)} ("." [0-9]{1,${MAX_DIGITS}})? ([eE] [-+]? [0-9] [0-9]?)?`,
    ),
  object: (rules: GrammarRules) => anyValue(rules).object,
  value: (rules: GrammarRules) => anyValue(rules).value,
};

/** Line breaks before an answer: models put them there, above all after a think block, and they belong to no content. */
export function leadingBreaks(rules: GrammarRules): string {
  return rules.add("lead", "[\\n]{0,4}");
}

/** Any JSON, as deep as the model likes. */
function anyValue(rules: GrammarRules): { value: string; object: string } {
  const known = anyValues.get(rules);
  if (known !== undefined) return known;
  const names = { value: rules.reserve("value"), object: rules.reserve("object") };
  anyValues.set(rules, names);
  const [blank, comma, string] = [jsonText.blank(rules), jsonText.comma(rules), jsonText.string(rules)];
  const member = `${string} ${jsonText.colon(rules)} ${names.value}`;
  const list = (items: string) => `(${items} (${comma} ${items})* ${blank})?`;
  rules.define(names.object, `"{" ${blank} ${list(member)} "}"`);
  const array = rules.add("array", `"[" ${blank} ${list(names.value)} "]"`);
  const scalars = `${string} | ${jsonText.number(rules)} | "true" | "false" | "null"`;
  rules.define(names.value, `${names.object} | ${array} | ${scalars}`);
  return names;
}

const anyValues = new WeakMap<GrammarRules, { value: string; object: string }>();

/** One character of the set as a JSON string spells it; null: none of it can be spelled without `\u`. */
export function jsonSpelledSet(set: readonly CodeRange[]): string | null {
  const plain = intersection(set, UNESCAPED);
  const escapes = [...SHORT_ESCAPES]
    .filter(([code]) => contains(set, code))
    .map(([, spelled]) => literal(spelled));
  const alternatives = [...(plain.length === 0 ? [] : [characterClass(plain)]), ...escapes];
  return alternatives.length === 0 ? null : alternatives.join(" | ");
}

function contains(set: readonly CodeRange[], code: number): boolean {
  return set.some(([first, last]) => first <= code && code <= last);
}
