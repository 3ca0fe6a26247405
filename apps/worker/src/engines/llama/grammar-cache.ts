import { QuernError } from "@quern/shared/contract/errors";
import type { Llama, LlamaGrammar } from "node-llama-cpp";

/** Grammars kept; one takes its text, at most GRAMMAR_LIMITS.textCharacters. */
const MAX_GRAMMARS = 64;

/**
 * Grammars that llama.cpp has checked, by their text, the latest used kept. The library reads the text again for each
 * generation's state; what is saved is the check, and an error is met here, before there is a state.
 */
export class GrammarCache {
  readonly #llama: Pick<Llama, "createGrammar">;
  readonly #maxGrammars: number;
  readonly #grammars = new Map<string, Promise<LlamaGrammar>>();

  constructor(llama: Pick<Llama, "createGrammar">, maxGrammars = MAX_GRAMMARS) {
    this.#llama = llama;
    this.#maxGrammars = maxGrammars;
  }

  /** @throws QuernError `invalid_request` when llama.cpp can't read it */
  async get(text: string): Promise<LlamaGrammar> {
    const grammar = this.#grammars.get(text) ?? this.#llama.createGrammar({ grammar: text });
    this.#grammars.delete(text);
    this.#grammars.set(text, grammar);
    const [oldest] = this.#grammars.keys();
    if (this.#grammars.size > this.#maxGrammars && oldest !== undefined) this.#grammars.delete(oldest);
    try {
      return await grammar;
    } catch (cause) {
      this.#grammars.delete(text);
      throw new QuernError(
        "invalid_request",
        "llama.cpp can't read the grammar that the response format or the tools make: simplify their schemas",
        { cause },
      );
    }
  }
}
