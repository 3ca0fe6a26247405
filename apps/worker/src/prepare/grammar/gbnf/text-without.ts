import { complement } from "./code-ranges.ts";
import { characterClass, literal } from "./gbnf-text.ts";
import type { GrammarRules } from "./grammar-rules.ts";

/**
 * Any text that holds no `marker`, and does not end inside one. The marker has at least two characters, and its first
 * one only once: wherever that is met, reading begins anew.
 */
export function textWithout(rules: GrammarRules, marker: string): string {
  const [first = "", ...others] = marker;
  const begun = rules.reserve("begun");
  const again = `${literal(first)} ${begun}`;
  let deeper: string | null = null;
  for (const [at, next] of [...others.entries()].toReversed()) {
    const onward: string = deeper === null ? "" : ` | ${literal(next)} ${deeper}`;
    const step = `${noneOf(first, next)} | ${again}${onward}`;
    if (at === 0) rules.define(begun, step);
    else deeper = rules.add("within", step);
  }
  return `${rules.add("text", `${noneOf(first)} | ${again}`)}*`;
}

function noneOf(...characters: string[]): string {
  const codes = characters.map((character) => character.codePointAt(0) ?? 0);
  return characterClass(complement(codes.map((code) => [code, code])));
}
