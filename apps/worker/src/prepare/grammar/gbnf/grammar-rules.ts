import { GRAMMAR_LIMITS, QUICK_LIMITS } from "./grammar-limits.ts";

/** llama.cpp refuses more than 2,000 copies in one repetition. */
const MAX_REPETITION = 1_000;

/** Thrown by `GrammarRules`; whoever knows the request's field makes it an error for its caller. */
export class GrammarTooLarge extends Error {}

/** Thrown where only quick work is wanted: the grammar may be fine, and takes more than some ten milliseconds to write. */
export class GrammarTakesLong extends Error {
  override name = "GrammarTakesLong";
}

/** `quick`: gives up on a grammar that takes long. */
export type GrammarEffort = "quick" | "any";

/** The rules of one GBNF text. Rules of one body are one; nothing grows past GRAMMAR_LIMITS. */
export class GrammarRules {
  readonly #bodies = new Map<string, string>();
  readonly #names = new Map<string, string>();
  #reserved = 0;
  #characters = 0;
  #repetitions = 0;
  #alternatives = 0;
  #unfoldedCharacters = 0;
  readonly #effort: GrammarEffort;

  constructor(effort: GrammarEffort = "any") {
    this.#effort = effort;
  }

  /** A rule that stands by itself. @returns its name */
  add(hint: string, body: string): string {
    const known = this.#names.get(body);
    if (known !== undefined) return known;
    const name = this.reserve(hint);
    this.define(name, body);
    this.#names.set(body, name);
    return name;
  }

  /** A name for a rule that can't be written yet, because it refers to itself. */
  reserve(hint: string): string {
    this.#reserved += 1;
    if (this.#reserved > GRAMMAR_LIMITS.rules) this.#refuse("rules", GRAMMAR_LIMITS.rules);
    return `${hint}-${this.#reserved}`;
  }

  define(name: string, body: string): void {
    this.#characters += name.length + body.length;
    if (this.#characters > GRAMMAR_LIMITS.textCharacters)
      this.#refuse("characters", GRAMMAR_LIMITS.textCharacters);
    this.#bodies.set(name, body);
  }

  /**
   * `symbol` from `min` to `max` times, null: without end. It must be one class or one rule, and never empty. Long
   * optional runs go in blocks: one full block and the rest, or a part of a block.
   */
  repeat(symbol: string, min: number, max: number | null): string {
    this.#count(max ?? min);
    const required = Array.from(
      { length: Math.floor(min / MAX_REPETITION) },
      () => `${symbol}{${MAX_REPETITION}}`,
    );
    if (min % MAX_REPETITION > 0) required.push(`${symbol}{${min % MAX_REPETITION}}`);
    if (max === null) return [...required, `${symbol}*`].join(" ");
    let left = max - min;
    let optional = left % MAX_REPETITION === 0 ? "" : `${symbol}{0,${left % MAX_REPETITION}}`;
    for (left -= left % MAX_REPETITION; left > 0; left -= MAX_REPETITION) {
      const part = `${symbol}{0,${MAX_REPETITION - (optional === "" ? 0 : 1)}}`;
      optional =
        optional === "" ? part : this.add("run", `${part} | ${symbol}{${MAX_REPETITION}} ${optional}`);
    }
    return [...required, optional].filter((part) => part !== "").join(" ");
  }

  /** Schemas that were read or merged on the way to rules. */
  countUnfolded(alternatives: number, characters: number): void {
    this.#alternatives += alternatives;
    if (this.#alternatives > GRAMMAR_LIMITS.alternatives) {
      this.#refuse("alternatives", GRAMMAR_LIMITS.alternatives);
    }
    this.#unfoldedCharacters += characters;
    const { alternatives: some, unfoldedCharacters: long } = QUICK_LIMITS;
    const isLong = this.#alternatives > some || this.#unfoldedCharacters > long;
    if (this.#effort === "quick" && isLong) throw new GrammarTakesLong("this grammar takes long to write");
    if (this.#unfoldedCharacters > GRAMMAR_LIMITS.unfoldedCharacters) {
      this.#refuse("characters to unfold", GRAMMAR_LIMITS.unfoldedCharacters);
    }
  }

  /** The whole text, `root` first. */
  toText(root: string): string {
    return [`root ::= ${root}`, ...Array.from(this.#bodies, ([name, body]) => `${name} ::= ${body}`)].join(
      "\n",
    );
  }

  #count(repetitions: number): void {
    this.#repetitions += repetitions;
    if (this.#repetitions > GRAMMAR_LIMITS.repetitions)
      this.#refuse("repetitions", GRAMMAR_LIMITS.repetitions);
  }

  #refuse(what: string, limit: number): never {
    throw new GrammarTooLarge(`makes a grammar of more than ${limit} ${what}`);
  }
}
