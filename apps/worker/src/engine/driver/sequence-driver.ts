import {
  type LlamaContextSequence,
  type LlamaGrammar,
  LlamaGrammarEvaluationState,
  type LlamaModel,
  type SequenceEvaluateOptions,
  type Token,
  TokenBias,
} from "node-llama-cpp";
import { asError } from "../as-error.ts";
import { penalizes, type SamplerOptions } from "../sampling.ts";
import type { Driver, Feed, FeedOutcome, Sampler } from "./driver.ts";

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
  /** The library's generator of each slot that samples, and the sampler it was begun with. */
  readonly #generators = new Map<number, { sampler: Sampler; tokens: TokenGenerator }>();

  constructor(model: LlamaModel, sequences: readonly LlamaContextSequence[], sizes: { stepTokens: number }) {
    this.#model = model;
    this.#sequences = sequences;
    this.stepTokens = sizes.stepTokens;
  }

  async step(feeds: readonly Feed[]): Promise<FeedOutcome[]> {
    const settled = await Promise.allSettled(feeds.map((feed) => this.#feed(feed)));
    return settled.map((outcome) =>
      outcome.status === "fulfilled" ? outcome.value : { kind: "failed", error: asError(outcome.reason) },
    );
  }

  async #feed({ slot, tokens, sampler }: Feed): Promise<FeedOutcome> {
    if (sampler === null) {
      await this.#sequence(slot).evaluateWithoutGeneratingNewTokens([...tokens]);
      return { kind: "fed" };
    }
    const running = this.#generators.get(slot);
    const { value: token } =
      running?.sampler === sampler
        ? await running.tokens.next([...tokens])
        : await this.#begin(slot, tokens, sampler as SequenceSampler);
    if (token === undefined) throw new Error("no token was sampled");
    (sampler as SequenceSampler).remember(token);
    return { kind: "sampled", token, probability: null };
  }

  #begin(slot: number, tokens: readonly Token[], sampler: SequenceSampler) {
    const options = sampler.options(this.#model);
    const generator = this.#sequence(slot).evaluate([...tokens], options) as TokenGenerator;
    this.#generators.set(slot, { sampler, tokens: generator });
    return generator.next();
  }

  async truncate(slot: number, position: number): Promise<void> {
    await this.#generators.get(slot)?.tokens.return();
    this.#generators.delete(slot);
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
  }

  async load(slot: number, path: string): Promise<Token[]> {
    await this.truncate(slot, 0);
    const sequence = this.#sequence(slot);
    // The file is this engine's own, and named after the model, the cache's type and the tokens.
    await sequence.loadStateFromFile(path, { acceptRisk: true });
    return sequence.contextTokens;
  }

  createSampler(options: SamplerOptions): Sampler {
    return new SequenceSampler(options);
  }

  #sequence(slot: number): LlamaContextSequence {
    const sequence = this.#sequences[slot];
    if (sequence === undefined) throw new Error(`there is no slot ${slot}`);
    return sequence;
  }
}

type TokenGenerator = AsyncGenerator<Token, void, Token[] | undefined>;

class SequenceSampler implements Sampler {
  readonly #options: SamplerOptions;
  readonly #picked: Token[] = [];
  #grammar: LlamaGrammar | null = null;
  #grammarState: LlamaGrammarEvaluationState | null = null;

  constructor(options: SamplerOptions) {
    this.#options = options;
  }

  remember(token: Token): void {
    this.#picked.push(token);
  }

  constrain(grammar: LlamaGrammar): void {
    this.#grammar = grammar;
  }

  dispose(): void {}

  options(model: LlamaModel): SequenceEvaluateOptions {
    const { temperature, topP, topK, minP, seed, logitBias } = this.#options;
    const biases = new TokenBias(model.tokenizer);
    for (const { token, bias } of logitBias) biases.set(token as Token, { logit: bias });
    return {
      yieldEogToken: true,
      seed,
      temperature,
      topP,
      topK,
      minP,
      grammarEvaluationState: () => this.#currentGrammarState(model),
      ...(penalizes(this.#options) ? { repeatPenalty: this.#penalties() } : {}),
      ...(logitBias.length > 0 ? { tokenBias: biases } : {}),
    };
  }

  /** Asked before each token: a grammar may come later. */
  #currentGrammarState(model: LlamaModel): LlamaGrammarEvaluationState | undefined {
    if (this.#grammar === null) return undefined;
    this.#grammarState ??= new LlamaGrammarEvaluationState({ model, grammar: this.#grammar });
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
