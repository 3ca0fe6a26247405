import { GRAMMAR_LIMITS } from "../gbnf/grammar-limits.ts";
import type { GrammarRules } from "../gbnf/grammar-rules.ts";
import { parallelPlaces } from "../pattern/pattern-ambiguity.ts";
import {
  matchLengths,
  type PatternBranch,
  type PatternNode,
  PatternUnsupported,
  parsePattern,
} from "../pattern/pattern-syntax.ts";
import { patternText, type SpellSet } from "../pattern/pattern-text.ts";
import { KNOWN_PATTERNS, STRING_FORMATS } from "../pattern/string-formats.ts";
import type { FlatSchema } from "./flat-schema.ts";
import type { ValueText } from "./value-text.ts";

/** Hardly more than every third place of a pattern is possible at one time. */
const PLACES_IN_A_READING = 3;

/** How a text is written where it stands: inside a JSON string, or bare. */
export interface TextSpelling {
  /** Any one character: the name of a rule. */
  character: (rules: GrammarRules) => string;
  set: SpellSet;
}

type StringDemands = Pick<FlatSchema, "minLength" | "maxLength" | "pattern" | "format">;

/**
 * The texts that a string schema allows, without quotes, as GBNF; null: there are none.
 * @param refuse throws
 */
export function stringText(
  rules: GrammarRules,
  demands: StringDemands,
  spelling: TextSpelling,
  refuse: (keyword: string, problem: string) => never,
): ValueText | null {
  const { minLength, maxLength, pattern } = demands;
  if (maxLength !== null && maxLength < (minLength ?? 0)) return null;
  const keyword = pattern === null ? "format" : "pattern";
  const source =
    pattern === null ? STRING_FORMATS.get(demands.format ?? "") : (KNOWN_PATTERNS.get(pattern) ?? pattern);
  if (source === undefined) {
    const text = rules.repeat(spelling.character(rules), minLength ?? 0, maxLength);
    return { text, nested: Math.max(1, maxLength ?? minLength ?? 0), parallel: 1 };
  }
  if (source.length > GRAMMAR_LIMITS.patternCharacters) {
    refuse(keyword, `has more than ${GRAMMAR_LIMITS.patternCharacters} characters`);
  }
  try {
    const branches = parsePattern(source);
    if (!branches.every((branch) => fits(branch, minLength ?? 0, maxLength))) {
      refuse(
        keyword,
        "can't be combined with minLength or maxLength, unless all its matches have such a length",
      );
    }
    const nested = Math.max(1, ...branches.map(({ node }) => longest(node)));
    if (nested > GRAMMAR_LIMITS.nestedRepetitions) {
      refuse(keyword, `matches more than ${GRAMMAR_LIMITS.nestedRepetitions} characters`);
    }
    const places = parallelPlaces(branches);
    if (places > GRAMMAR_LIMITS.patternPlaces) {
      refuse(
        keyword,
        "is too ambiguous: anchor it, and let the next character tell where in the pattern one is",
      );
    }
    const text = patternText(rules, source, spelling.set);
    return { text, nested, parallel: Math.ceil(places / PLACES_IN_A_READING) };
  } catch (error) {
    if (error instanceof PatternUnsupported) refuse(keyword, `has what is not supported: ${error.message}`);
    throw error;
  }
}

/** Of the matches with an upper bound, else the shortest. */
function longest(node: PatternNode): number {
  const { min, max } = matchLengths(node);
  return max ?? min;
}

function fits({ node, fromStart, toEnd }: PatternBranch, min: number, max: number | null): boolean {
  const lengths = matchLengths(node);
  if (lengths.min < min) return false;
  return max === null || (fromStart && toEnd && lengths.max !== null && lengths.max <= max);
}
