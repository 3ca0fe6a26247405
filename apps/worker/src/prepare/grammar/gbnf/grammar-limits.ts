import { QuernError } from "@quern/shared/contract/errors";

/**
 * What a schema may cost. Measured at these limits with llama.cpp's own parser, which runs once per generation: a
 * grammar of 10,000 repetitions or 2,000 rules is read in under 20 ms.
 */
export const GRAMMAR_LIMITS = {
  rules: 2_000,
  /** Of the schema, and of what is made of it. */
  textCharacters: 200_000,
  /** Copies that llama.cpp makes of what is repeated: the sum over all bounds, a shared rule counted once. */
  repetitions: 10_000,
  /** Items and characters of the longest answer that nested bounds allow: no context holds as much. */
  nestedRepetitions: 1_000_000,
  /** Ways to read one and the same beginning, that llama.cpp follows side by side at every token. */
  parallelReadings: 64,
  /** Places of a pattern in which the next character does not tell the way. */
  patternPlaces: 192,
  /** Of one pattern: each of its characters is compared with those that may follow. */
  patternCharacters: 2_000,
  /** Schemas read, and what `allOf`, `anyOf` and references unfold them into: of all tools of a request together. */
  alternatives: 4_000,
  /** Of those schemas, the merged ones included: each inner schema counts with those around it. */
  unfoldedCharacters: 4_000_000,
  /** Values of one `enum`. */
  literals: 2_000,
  nesting: 64,
} as const;

/** Limits of quick work: some ten milliseconds. A schema at GRAMMAR_LIMITS takes over half a second. */
export const QUICK_LIMITS = { alternatives: 100, unfoldedCharacters: 50_000 } as const;

/** A request field's schema that can't be a grammar, with where and why. */
export function unsupportedSchema(param: string, path: string, problem: string): QuernError {
  return new QuernError(
    "invalid_request",
    `the JSON schema in ${param} can't be enforced: ${path} ${problem}`,
    {
      param,
    },
  );
}
