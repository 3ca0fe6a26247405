import type { LlamaGrammar, Token } from "node-llama-cpp";
import { asError } from "../../../protocol/as-error.ts";
import { type Driver, type Feed, type FeedOutcome, type Sampler, TILE_TOKENS } from "./driver.ts";
import { ModelDistribution } from "./model-distribution.ts";
import type { NativeContext, NativeInterface, NativeSampler } from "./native-interface.ts";
import { penalizes, type SamplerOptions } from "./sampling.ts";
import { StateSeals } from "./state-seals.ts";

const NOTHING = new Uint32Array(0);

/**
 * The fast driver: builds each llama.cpp batch itself, so that a step is one decode however many slots are in it, and
 * costs one call per slot and one sampling task per token beside it.
 */
export class BatchDriver implements Driver {
  readonly name = "batch";
  readonly capabilities = { copies: true, logprobs: true };
  readonly stepTokens: number;
  readonly #native: NativeInterface;
  readonly #context: NativeContext;
  readonly #slotTokens: number;
  readonly #seals = new StateSeals();
  /** The slot that was copied to last since the last decode, and where its cache ends. */
  #copied: { slot: number; end: number } | null = null;

  /** `stepTokens`: the batch size of the context; `slotTokens`: what the cache of one slot can hold. */
  constructor(native: NativeInterface, sizes: { stepTokens: number; slotTokens: number }) {
    this.#native = native;
    this.#context = native.context;
    this.stepTokens = sizes.stepTokens;
    this.#slotTokens = sizes.slotTokens;
  }

  async step(feeds: readonly Feed[]): Promise<FeedOutcome[]> {
    const outcomes = new Map<Feed, FeedOutcome>();
    for (const batch of toBatches(feeds)) {
      for (const [at, outcome] of (await this.#stepBatch(batch)).entries()) {
        outcomes.set(batch[at] as Feed, outcome);
      }
    }
    return feeds.map((feed) => outcomes.get(feed) as FeedOutcome);
  }

  async #stepBatch(feeds: readonly Feed[]): Promise<FeedOutcome[]> {
    try {
      return await this.#decodeAndSample(feeds);
    } catch (error) {
      if (feeds.length === 1) return [{ kind: "failed", error: asError(error) }];
    }
    // Whoever broke the batch is found by running each one alone. What the broken decode left is removed first.
    const outcomes: FeedOutcome[] = [];
    for (const feed of feeds) {
      await this.truncate(feed.slot, feed.position);
      outcomes.push(...(await this.#stepBatch([feed])));
    }
    return outcomes;
  }

  async #decodeAndSample(feeds: readonly Feed[]): Promise<FeedOutcome[]> {
    const context = this.#context;
    context.initBatch(feeds.reduce((sum, { tokens }) => sum + tokens.length, 0));
    const logitIndexes = feeds.map(({ slot, position, tokens, sampler }) => {
      const wanted = sampler === null ? NOTHING : Uint32Array.of(tokens.length - 1);
      return context.addToBatch(slot, position, Uint32Array.from(tokens), wanted)[0];
    });
    await context.decodeBatch();
    this.#copied = null;
    return Promise.all(feeds.map((feed, at) => this.#sample(feed, logitIndexes[at])));
  }

  async #sample({ sampler, topLogprobs }: Feed, logitIndex: number | undefined): Promise<FeedOutcome> {
    if (sampler === null || logitIndex === undefined) return { kind: "fed" };
    try {
      const { native, distribution } = sampler as BatchSampler;
      const token = await this.#context.sampleToken(logitIndex, native);
      if (token === -1) throw new Error("no token was sampled: the grammar allows none");
      (sampler as BatchSampler).remember(token);
      const probability =
        topLogprobs === null ? null : await distribution.read(this.#context, logitIndex, token, topLogprobs);
      return { kind: "sampled", token, probability };
    } catch (error) {
      return { kind: "failed", error: asError(error) };
    }
  }

  async truncate(slot: number, position: number): Promise<void> {
    if (!this.#context.removeTokenCellsFromSequence(slot, position, -1)) {
      throw new Error(`the cache of slot ${slot} can't be cut at ${position}`);
    }
    if (this.#copied?.slot === slot) this.#copied.end = Math.min(this.#copied.end, position);
  }

  async copy(from: number, to: number, tokens: number): Promise<void> {
    await this.truncate(to, 0);
    await this.#context.copySequenceStateFromOtherSequence(to, from);
    await this.truncate(to, tokens);
    this.#copied = { slot: to, end: tokens };
  }

  /**
   * llama.cpp puts the contents of copied cells off until the next decode, but reads and writes those of files at
   * once: a source loaded before then would be copied as what it holds now. So a token that nobody needs is decoded.
   */
  async #carryOutCopies(): Promise<void> {
    if (this.#copied === null) return;
    const { slot, end } = this.#copied;
    this.#context.initBatch(1);
    this.#context.addToBatch(slot, end, Uint32Array.of(0), NOTHING);
    await this.#context.decodeBatch();
    this.#copied = null;
    await this.truncate(slot, end);
  }

  async save(slot: number, path: string, tokens: readonly Token[]): Promise<void> {
    await this.#carryOutCopies();
    await this.#context.saveSequenceStateToFile(path, slot, Uint32Array.from(tokens));
    await this.#seals.seal(path);
  }

  async load(slot: number, path: string): Promise<Token[]> {
    await this.#seals.check(path);
    await this.#carryOutCopies();
    await this.truncate(slot, 0);
    const tokens = await this.#context.loadSequenceStateFromFile(path, slot, this.#slotTokens);
    return Array.from(tokens) as Token[];
  }

  allows(grammar: LlamaGrammar, spoken: readonly Token[]): boolean {
    return this.#native.grammarState(grammar, spoken) !== null;
  }

  createSampler(options: SamplerOptions, spoken: readonly Token[]): Sampler {
    return new BatchSampler(this.#native, options, this.#slotTokens, spoken);
  }
}

/**
 * One decode for all, and one for each long part of a prompt. In one decode llama.cpp takes as many tokens of each slot
 * as the shortest has, and the rest of the long one in another pass over the weights all the same; but the token that it
 * took away leaves a part that fills no tiles (see TILE_TOKENS).
 */
function toBatches(feeds: readonly Feed[]): Feed[][] {
  const short = feeds.filter(({ tokens }) => tokens.length < TILE_TOKENS);
  const long = feeds.filter(({ tokens }) => tokens.length >= TILE_TOKENS);
  return [...(short.length > 0 ? [short] : []), ...long.map((feed) => [feed])];
}

class BatchSampler implements Sampler {
  readonly native: NativeSampler;
  readonly #interface: NativeInterface;
  readonly #config: object;
  /** What penalties count; null where there are none. */
  readonly #picked: Token[] | null;
  #distribution: ModelDistribution | null = null;

  constructor(
    native: NativeInterface,
    options: SamplerOptions,
    slotTokens: number,
    spoken: readonly Token[],
  ) {
    this.#interface = native;
    this.#config = nativeConfig(options, slotTokens);
    this.#picked = penalizes(options) ? [...spoken] : null;
    this.native = native.createSampler({ ...this.#config, ...this.#history() });
  }

  /** Made for those who ask: each reader keeps a buffer as large as the vocabulary. */
  get distribution(): ModelDistribution {
    this.#distribution ??= new ModelDistribution(this.#interface);
    return this.#distribution;
  }

  remember(token: Token): void {
    this.#picked?.push(token);
  }

  constrain(grammar: LlamaGrammar, spoken: readonly Token[]): void {
    // The same configuration again, so the randomness goes on where it is; penalties are compared by their history.
    const grammarEvaluationState = this.#interface.grammarState(grammar, spoken);
    if (grammarEvaluationState === null) throw new Error("what was spoken is not what the grammar allows");
    this.native.applyConfig({ ...this.#config, ...this.#history(), grammarEvaluationState });
  }

  #history(): { repeatPenaltyTokens?: Uint32Array } {
    return this.#picked === null ? {} : { repeatPenaltyTokens: Uint32Array.from(this.#picked) };
  }

  dispose(): void {
    this.native.dispose();
    this.#distribution?.dispose();
  }
}

/** An absent key is an absent sampler; `topK: 0` would sort the whole vocabulary. */
function nativeConfig(options: SamplerOptions, slotTokens: number): object {
  const { temperature, topP, topK, minP, seed, logitBias } = options;
  return {
    seed,
    temperature,
    ...(topK > 0 ? { topK } : {}),
    ...(topP < 1 ? { topP } : {}),
    ...(minP > 0 ? { minP } : {}),
    ...(penalizes(options)
      ? {
          repeatPenaltyMaxTokens: slotTokens,
          repeatPenalty: options.repetitionPenalty,
          repeatPenaltyPresencePenalty: options.presencePenalty,
          repeatPenaltyFrequencyPenalty: options.frequencyPenalty,
        }
      : {}),
    ...(logitBias.length > 0
      ? {
          tokenBiasKeys: Uint32Array.from(logitBias, ({ token }) => token),
          tokenBiasValues: Float32Array.from(logitBias, ({ bias }) => bias),
        }
      : {}),
  };
}
