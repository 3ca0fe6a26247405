import {
  type LlamaContextSequence,
  type LlamaGrammar,
  LlamaGrammarEvaluationState,
  type LlamaModel,
  type SequenceEvaluateOptions,
  type Token,
  TokenBias,
} from "node-llama-cpp";
import { asError } from "../../../protocol/as-error.ts";
import type { Driver, Feed, FeedOutcome, Sampler } from "./driver.ts";
import { penalizes, type SamplerOptions } from "./sampling.ts";
import { StateSeals } from "./state-seals.ts";

/**
 * The driver for a library whose private interface is not the one that the batch driver knows: the public one alone.
 * All feeds of a step are put to the library at once, in ascending order, so that it batches them in one decode. It
 * costs more per token, copies no caches between slots and can't tell log-probabilities.
 */
export class SequenceDriver implements Driver {
  readonly name = "sequence";
  readonly capabilities = { copies: false, logprobs: false };
  readonly stepTokens: number;
  readonly #model: LlamaModel;
  /** One per slot, in ascending order of llama.cpp's ids. */
  readonly #sequences: readonly LlamaContextSequence[];
  readonly #seals = new StateSeals();
  /** The sampler whose generator of the library runs in each slot. */
  readonly #sampling = new Map<number, SequenceSampler>();

  constructor(model: LlamaModel, sequences: readonly LlamaContextSequence[], sizes: { stepTokens: number }) {
    this.#model = model;
    this.#sequences = sequences;
    this.stepTokens = sizes.stepTokens;
  }

  async step(feeds: readonly Feed[]): Promise<FeedOutcome[]> {
    const settled = await Promise.allSettled(feeds.map((feed) => this.#feed(feed)));
    const outcomes: FeedOutcome[] = [];
    for (const [at, feed] of feeds.entries()) {
      const outcome = settled[at] as PromiseSettledResult<FeedOutcome>;
      if (outcome.status === "fulfilled") outcomes.push(outcome.value);
      else if (feeds.length === 1) outcomes.push({ kind: "failed", error: asError(outcome.reason) });
      else {
        // Whoever breaks a batch takes all of it along: each one that failed is run alone.
        await this.truncate(feed.slot, feed.position);
        outcomes.push(...(await this.step([feed])));
      }
    }
    return outcomes;
  }

  async #feed({ slot, position, tokens, sampler }: Feed): Promise<FeedOutcome> {
    const sequence = this.#sequence(slot);
    const end = sequence.nextTokenIndex;
    if (end !== position) throw new Error(`slot ${slot} holds ${end} tokens, not ${position}`);
    if (sampler === null) {
      await sequence.evaluateWithoutGeneratingNewTokens([...tokens]);
      return { kind: "fed" };
    }
    const own = sampler as SequenceSampler;
    this.#sampling.set(slot, own);
    return { kind: "sampled", token: await own.sample(sequence, tokens), probability: null };
  }

  async truncate(slot: number, position: number): Promise<void> {
    await this.#sampling.get(slot)?.end();
    this.#sampling.delete(slot);
    const sequence = this.#sequence(slot);
    const end = sequence.nextTokenIndex;
    if (position === 0) await sequence.clearHistory();
    else if (position < end) await sequence.eraseContextTokenRanges([{ start: position, end }]);
  }

  async copy(): Promise<void> {
    throw new Error("the public interface of the library copies no caches");
  }

  async save(slot: number, path: string): Promise<void> {
    await this.#sequence(slot).saveStateToFile(path);
    await this.#seals.seal(path);
  }

  async load(slot: number, path: string): Promise<Token[]> {
    await this.#seals.check(path);
    await this.truncate(slot, 0);
    const sequence = this.#sequence(slot);
    // The file is an engine's own, whole, and named after the model, the cache's type and the tokens.
    await sequence.loadStateFromFile(path, { acceptRisk: true });
    return sequence.contextTokens;
  }

  /** The public interface has grammars begin at their begin only. */
  allows(_grammar: LlamaGrammar, spoken: readonly Token[]): boolean {
    return spoken.length === 0;
  }

  createSampler(options: SamplerOptions, spoken: readonly Token[]): Sampler {
    return new SequenceSampler(this.#model, options, spoken);
  }

  #sequence(slot: number): LlamaContextSequence {
    const sequence = this.#sequences[slot];
    if (sequence === undefined) throw new Error(`there is no slot ${slot}`);
    return sequence;
  }
}

type TokenGenerator = AsyncGenerator<Token, void, Token[] | undefined>;

class SequenceSampler implements Sampler {
  readonly #model: LlamaModel;
  readonly #options: SamplerOptions;
  readonly #picked: Token[];
  #tokens: TokenGenerator | null = null;
  #grammar: LlamaGrammar | null = null;
  #grammarState: LlamaGrammarEvaluationState | null = null;

  constructor(model: LlamaModel, options: SamplerOptions, spoken: readonly Token[]) {
    this.#picked = [...spoken];
    this.#model = model;
    this.#options = options;
  }

  async sample(sequence: LlamaContextSequence, tokens: readonly Token[]): Promise<Token> {
    const { value } = await (this.#tokens === null
      ? this.#begin(sequence, tokens)
      : this.#tokens.next([...tokens]));
    if (value === undefined) throw new Error("no token was sampled");
    this.#picked.push(value);
    return value;
  }

  #begin(sequence: LlamaContextSequence, tokens: readonly Token[]) {
    this.#tokens = sequence.evaluate([...tokens], this.#evaluateOptions()) as TokenGenerator;
    return this.#tokens.next();
  }

  /** The slot's cache is changed under the generator: the next token is sampled by another. */
  async end(): Promise<void> {
    const tokens = this.#tokens;
    this.#tokens = null;
    await tokens?.return();
  }

  constrain(grammar: LlamaGrammar, spoken: readonly Token[]): void {
    if (spoken.length > 0) throw new Error("this driver's grammars can't begin in the middle");
    this.#grammar = grammar;
  }

  dispose(): void {
    // The generator is suspended at a token, so that it ends at once, and frees the library's sampler.
    void this.end();
  }

  #evaluateOptions(): SequenceEvaluateOptions {
    const { temperature, topP, topK, minP, seed, logitBias } = this.#options;
    return {
      yieldEogToken: true,
      seed,
      temperature,
      topP,
      topK,
      minP,
      grammarEvaluationState: () => this.#currentGrammarState(),
      ...(penalizes(this.#options) ? { repeatPenalty: this.#penalties() } : {}),
      ...(logitBias.length > 0 ? { tokenBias: this.#tokenBias() } : {}),
    };
  }

  #tokenBias(): TokenBias {
    const biases = new TokenBias(this.#model.tokenizer);
    // `set` passes over the tokens that end an answer, so they are put where it puts the others.
    const { _biases: all } = biases as unknown as { _biases?: Map<number, number> };
    for (const { token, bias } of this.#options.logitBias) {
      if (all instanceof Map) all.set(token, bias);
      else biases.set(token as Token, { logit: bias });
    }
    return biases;
  }

  /** Asked before each token: a grammar may come later. */
  #currentGrammarState(): LlamaGrammarEvaluationState | undefined {
    if (this.#grammar === null) return undefined;
    this.#grammarState ??= new LlamaGrammarEvaluationState({ model: this.#model, grammar: this.#grammar });
    return this.#grammarState;
  }

  #penalties(): NonNullable<SequenceEvaluateOptions["repeatPenalty"]> {
    const { presencePenalty, frequencyPenalty, repetitionPenalty } = this.#options;
    return {
      punishTokens: () => this.#picked,
      penalty: repetitionPenalty,
      presencePenalty,
      frequencyPenalty,
    };
  }
}
