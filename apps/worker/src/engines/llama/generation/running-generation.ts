import type { FinishReason } from "@quern/shared/contract/generation";
import type { Token } from "node-llama-cpp";
import type { Sampler, TokenProbability } from "../driver/driver.ts";
import type { Generation } from "./generation.ts";

/**
 * A generation in its slot. Its tokens go one way: *pending* (the prompt, the token sampled last, tokens that are
 * forced) → fed, when they are in the slot's cache. A token is sampled after the last pending one has been fed.
 *
 *   waiting for a prefix that another slot is computing ─▶ prefilling ─▶ decoding
 */
export class RunningGeneration {
  readonly generation: Generation;
  readonly sampler: Sampler;
  readonly slotAtMs: number;
  /** Tokens of the prompt that the slot's cache held already. */
  cachedTokens = 0;
  completionTokens: number;
  firstTokenAtMs: number | null = null;
  lastSentAtMs: number;
  /** The slot that is computing this prompt's beginning, and up to which token; null: nothing to wait for. */
  awaited: { slot: number; running: RunningGeneration; tokens: number } | null = null;
  #pending: readonly Token[];
  #constrained = false;
  #budgetSpent: boolean;

  constructor(generation: Generation, sampler: Sampler, nowMs: number) {
    this.generation = generation;
    this.sampler = sampler;
    this.slotAtMs = nowMs;
    // A reader gets the first word at once.
    this.lastSentAtMs = generation.isFollowed ? Number.NEGATIVE_INFINITY : nowMs;
    this.#pending = generation.inputTokens;
    this.completionTokens =
      generation.spoken?.ended?.completionTokens ?? generation.spoken?.tokens.length ?? 0;
    this.#budgetSpent = generation.spoken?.budgetSpent ?? false;
  }

  get pending(): readonly Token[] {
    return this.#pending;
  }

  get phase(): "waiting" | "prefilling" | "decoding" {
    if (this.awaited !== null) return "waiting";
    return this.firstTokenAtMs === null ? "prefilling" : "decoding";
  }

  /** What the cache holds of this generation, and what it will when all that is pending is fed. */
  fedAndPending(cached: readonly Token[]): readonly Token[] {
    return [...cached, ...this.#pending];
  }

  /** Its input begins with `tokens` tokens that the slot's cache has been given from elsewhere. */
  startBehind(tokens: number): void {
    this.cachedTokens = Math.min(tokens, this.generation.promptLength);
    this.#pending = this.generation.inputTokens.slice(tokens);
  }

  fed(tokens: number): void {
    this.#pending = this.#pending.slice(tokens);
  }

  /** Before the next token is sampled: a grammar begins to hold once the content does. @throws when it can't. */
  constrainWhenAnswering(): void {
    const { grammar, output, spoken } = this.generation;
    const bound = spoken?.bound ?? [];
    if (grammar === null || this.#constrained) return;
    if (bound.length === 0 && output.phase !== "answering") return;
    this.sampler.constrain(grammar, bound);
    this.#constrained = true;
  }

  /**
   * Takes in the token that was sampled.
   * @returns why the generation ends with it; null: it goes on.
   */
  accept(
    token: Token,
    probability: TokenProbability | null,
    isEnd: boolean,
    nowMs: number,
  ): FinishReason | null {
    const { output, maxTokens } = this.generation;
    this.firstTokenAtMs ??= nowMs;
    this.completionTokens += 1;
    this.#pending = [token];
    if (!isEnd) output.push(token, probability);
    if (output.stopped) return "stop";
    if (!isEnd && this.completionTokens < maxTokens) {
      this.#closeThinkingWhenBudgetIsSpent();
      if (this.completionTokens < maxTokens) return null;
    }
    output.end();
    if (!isEnd && !output.stopped) return "length";
    return output.result().toolCalls.length > 0 ? "tool_calls" : "stop";
  }

  /** Qwen's own way to end its thinking: a sentence and the closing mark, as if the model had said them. */
  #closeThinkingWhenBudgetIsSpent(): void {
    const { thinkingBudget, output, maxTokens } = this.generation;
    if (thinkingBudget === null || this.#budgetSpent || output.phase !== "thinking") return;
    if (output.reasoningTokens < thinkingBudget.tokens) return;
    this.#budgetSpent = true;
    const forced = thinkingBudget.closing.slice(0, maxTokens - this.completionTokens);
    for (const token of forced) output.push(token, null);
    this.completionTokens += forced.length;
    this.#pending = [...this.#pending, ...forced];
  }
}
