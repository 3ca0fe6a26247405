import type { LlamaGrammar, Token } from "node-llama-cpp";
import { expect } from "vitest";
import type { Sampled } from "./driver/driver.fixture.ts";
import type { Driver, Feed, FeedOutcome, Sampler } from "./driver/driver.ts";
import type { SamplerOptions } from "./driver/sampling.ts";

/** A sampler of the real driver, and what became of it. */
class CheckedSampler implements Sampler {
  readonly real: Sampler;
  readonly options: SamplerOptions;
  readonly sampled: Sampled[] = [];
  disposals = 0;
  /** The only slot it may ever sample in. */
  slot: number | null = null;

  constructor(real: Sampler, options: SamplerOptions) {
    this.real = real;
    this.options = options;
  }

  constrain(grammar: LlamaGrammar, spoken: readonly Token[]): void {
    this.real.constrain(grammar, spoken);
  }

  dispose(): void {
    this.disposals += 1;
    this.real.dispose();
  }
}

/**
 * A real driver that is watched: it keeps books on what each slot's cache must hold by what it was told, and fails the
 * test when a feed does not fit them. `cuts`: `whole` refuses to cut or copy a part of a cache, as models with a
 * recurrent state do.
 */
export class CheckedDriver implements Driver {
  readonly name: Driver["name"];
  readonly stepTokens: number;
  readonly capabilities: Driver["capabilities"];
  readonly samplers: CheckedSampler[] = [];
  /** What was seen, so that a run that met none of it does not count as a check. */
  readonly seen = { bridges: 0, copies: 0, loads: 0, cuts: 0, chunks: 0, failures: 0 };
  /** The loop goes on after errors of `truncate`, `copy` and `load`, so what is wrong there is kept. */
  readonly problems: unknown[] = [];
  readonly #real: Driver;
  readonly #cuts: "anywhere" | "whole";
  readonly #held = new Map<number, Token[]>();

  constructor(real: Driver, cuts: "anywhere" | "whole" = "anywhere") {
    this.#real = real;
    this.#cuts = cuts;
    this.name = real.name;
    this.stepTokens = real.stepTokens;
    this.capabilities = real.capabilities;
  }

  async step(feeds: readonly Feed[]): Promise<FeedOutcome[]> {
    const slots = feeds.map(({ slot }) => slot);
    expect(slots).toEqual([...new Set(slots)].sort((a, b) => a - b));
    expect(feeds.reduce((sum, { tokens }) => sum + tokens.length, 0)).toBeLessThanOrEqual(this.stepTokens);
    for (const { slot, position, tokens, sampler } of feeds) {
      expect(tokens.length).toBeGreaterThan(0);
      expect(position).toBe(this.#heldBy(slot).length);
      if (sampler === null) this.seen[tokens.length === 1 && tokens[0] === 0 ? "bridges" : "chunks"] += 1;
      else this.#checkSampler(slot, sampler as CheckedSampler);
    }
    const outcomes = await this.#real.step(
      feeds.map((feed) => ({ ...feed, sampler: (feed.sampler as CheckedSampler | null)?.real ?? null })),
    );
    for (const [at, { slot, tokens, sampler, topLogprobs }] of feeds.entries()) {
      const outcome = outcomes[at] as FeedOutcome;
      expect(outcome.kind === "failed" || (outcome.kind === "fed") === (sampler === null)).toBe(true);
      if (outcome.kind === "failed") this.seen.failures += 1;
      else this.#heldBy(slot).push(...tokens);
      if (outcome.kind !== "sampled") continue;
      (sampler as CheckedSampler).sampled.push(outcome);
      expect(outcome.probability?.top.length ?? null).toBe(topLogprobs);
    }
    return outcomes;
  }

  #checkSampler(slot: number, sampler: CheckedSampler): void {
    expect(sampler.disposals).toBe(0);
    expect(sampler.slot ?? slot).toBe(slot);
    sampler.slot = slot;
    const others = this.samplers.filter((other) => other !== sampler && other.slot === slot);
    expect(others.every(({ disposals }) => disposals === 1)).toBe(true);
  }

  async truncate(slot: number, position: number): Promise<void> {
    const held = this.#heldBy(slot);
    this.#check(() => expect(position).toBeLessThanOrEqual(held.length));
    if (this.#cuts === "whole" && position > 0 && position < held.length) {
      this.seen.cuts += 1;
      throw new Error("only whole caches can be cut");
    }
    await this.#real.truncate(slot, position);
    if (position < held.length) held.length = position;
  }

  async copy(from: number, to: number, tokens: number): Promise<void> {
    const held = this.#heldBy(from);
    this.#check(() => {
      expect(from).not.toBe(to);
      expect(tokens).toBeLessThanOrEqual(held.length);
    });
    if (this.#cuts === "whole" && tokens < held.length) throw new Error("only whole caches can be copied");
    await this.#real.copy(from, to, tokens);
    this.#held.set(to, held.slice(0, tokens));
    this.seen.copies += 1;
  }

  async save(slot: number, path: string, tokens: readonly Token[]): Promise<void> {
    expect(tokens).toEqual(this.#heldBy(slot));
    await this.#real.save(slot, path, tokens);
  }

  async load(slot: number, path: string): Promise<Token[]> {
    this.#held.set(slot, []);
    const tokens = await this.#real.load(slot, path);
    this.#held.set(slot, [...tokens]);
    this.seen.loads += 1;
    return tokens;
  }

  allows(grammar: LlamaGrammar, spoken: readonly Token[]): boolean {
    return this.#real.allows(grammar, spoken);
  }

  createSampler(options: SamplerOptions, spoken: readonly Token[]): Sampler {
    const sampler = new CheckedSampler(this.#real.createSampler(options, spoken), options);
    this.samplers.push(sampler);
    return sampler;
  }

  /** What was sampled with these options, which are one generation's own. */
  sampledWith(options: SamplerOptions): readonly Sampled[] {
    return this.samplers.filter((sampler) => sampler.options === options).flatMap(({ sampled }) => sampled);
  }

  #check(expectations: () => void): void {
    try {
      expectations();
    } catch (problem) {
      this.problems.push(problem);
    }
  }

  #heldBy(slot: number): Token[] {
    const held = this.#held.get(slot) ?? [];
    this.#held.set(slot, held);
    return held;
  }
}
