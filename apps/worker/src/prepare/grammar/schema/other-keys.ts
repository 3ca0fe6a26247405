import { type CodeRange, complement, intersection } from "../gbnf/code-ranges.ts";
import { characterClass, literal } from "../gbnf/gbnf-text.ts";
import type { GrammarRules } from "../gbnf/grammar-rules.ts";
import { jsonText, UNESCAPED } from "./json-text.ts";

const SHORT_ESCAPES = ['"', "\\", "b", "f", "n", "r", "t"];

/**
 * A member's key that is none of `names`, with its closing quote. Every key has one spelling here, so that none of the
 * names can be written in another one.
 */
export function otherKey(rules: GrammarRules, names: readonly string[]): string {
  if (names.length === 0) return `${jsonText.character(rules)}* "\\""`;
  return differing(
    rules,
    names.map((name) => JSON.stringify(name).slice(1, -1)),
  );
}

/** What differs from the rest of every name: it leaves them at some character, or ends before or after them. */
function differing(rules: GrammarRules, rests: readonly string[]): string {
  const anyRest = `${rules.add("key-char", keyCharacter([], []))}* "\\""`;
  const nexts = Map.groupBy(
    rests.filter((rest) => rest !== ""),
    (rest) => unitOf(rest),
  );
  const units = [...nexts.keys()];
  const leave = keyCharacter(
    units.filter((unit) => !unit.startsWith("\\")).map((unit) => unit.codePointAt(0) ?? 0),
    units.filter((unit) => unit.startsWith("\\")),
  );
  const alternatives = [
    `${rules.add("key-char", leave)} ${anyRest}`,
    ...Array.from(nexts, ([unit, longer]) => {
      const deeper = differing(
        rules,
        longer.map((rest) => rest.slice(unit.length)),
      );
      return `${literal(unit)} ${deeper}`;
    }),
  ];
  if (!rests.includes("")) alternatives.push('"\\""');
  return rules.add("other-key", alternatives.join(" | "));
}

/** One character of a key, written bare or with a short escape, but none of these. */
function keyCharacter(codes: readonly number[], escapes: readonly string[]): string {
  const taken = codes.map((code): CodeRange => [code, code]);
  const bare = intersection(UNESCAPED, complement(taken));
  const escaped = SHORT_ESCAPES.map((character) => `\\${character}`).filter(
    (unit) => !escapes.includes(unit),
  );
  return [characterClass(bare), ...escaped.map((unit) => literal(unit))].join(" | ");
}

/** The first character, or the first escape with all that belongs to it. */
function unitOf(spelled: string): string {
  return /^(\\u[0-9a-f]{4}|\\.|.)/su.exec(spelled)?.[0] ?? "";
}
