import { ALL_CODES, type CodeRange } from "../gbnf/code-ranges.ts";
import { EMPTY } from "../gbnf/gbnf-text.ts";
import type { GrammarRules } from "../gbnf/grammar-rules.ts";
import { type PatternNode, PatternUnsupported, parsePattern } from "./pattern-syntax.ts";

/** One character of a set as the text spells it, as GBNF alternatives; null: it can spell none of them. */
export type SpellSet = (ranges: readonly CodeRange[]) => string | null;

/**
 * The texts that a regular expression matches, as GBNF. Like JSON Schema's `pattern` it is looked for anywhere in the
 * text, unless it is anchored.
 *
 * @throws PatternUnsupported
 */
export function patternText(rules: GrammarRules, source: string, spell: SpellSet): string {
  const anything = `${spelled(rules, ALL_CODES, spell)}*`;
  const branches = parsePattern(source).map(({ node, fromStart, toEnd }) => {
    const parts = [fromStart ? "" : anything, nodeText(rules, node, spell), toEnd ? "" : anything];
    return parts.filter((part) => part !== "").join(" ") || EMPTY;
  });
  return branches.length === 1 ? (branches[0] ?? "") : rules.add("pattern", branches.join(" | "));
}

function nodeText(rules: GrammarRules, node: PatternNode, spell: SpellSet): string {
  switch (node.kind) {
    case "set":
      return spelled(rules, node.ranges, spell);
    case "sequence":
      return node.parts
        .map((part) => nodeText(rules, part, spell))
        .filter((part) => part !== "")
        .join(" ");
    case "choice":
      return rules.add(
        "choice",
        node.options.map((option) => nodeText(rules, option, spell) || EMPTY).join(" | "),
      );
    case "repeat": {
      if (node.max === 0) return "";
      const text = nodeText(rules, node.of, spell);
      const symbol = /^[\w-]+$/.test(text) ? text : rules.add("part", text);
      return rules.repeat(symbol, node.min, node.max);
    }
  }
}

function spelled(rules: GrammarRules, ranges: readonly CodeRange[], spell: SpellSet): string {
  const text = spell(ranges);
  if (text === null) throw new PatternUnsupported("a class of characters that JSON spells by number only");
  return rules.add("set", text);
}
