import type { FinishReason } from "@quern/shared/contract/generation";
import type { PublishedChoice } from "@quern/shared/contract/published-choice";
import type { Delta } from "../../protocol/delta.ts";
import type { EngineRequest } from "../../protocol/engine-messages.ts";
import type { EntryOrder } from "../../protocol/entry-order.ts";
import { decodeTokens, encodedLength } from "../../protocol/token-ids.ts";
import type { EndedGeneration, JobChoice } from "../job-choices.ts";

const WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];
/** Words of an answer that `max_tokens` does not cut. */
const MOST_WORDS = 24;

/** One choice of a scripted answer: its words depend on the prompt and on the number of the choice, on nothing else. */
export class ScriptedGeneration implements JobChoice {
  readonly id: string;
  readonly choice: number;
  readonly order: EntryOrder;
  readonly isFollowed: boolean;
  readonly promptLength: number;
  readonly spoken: JobChoice["spoken"];
  cancelled = false;
  enteredAtMs: number | null = null;
  readonly #words: string[];
  readonly #isCut: boolean;
  #said: number;
  #sent: number;
  #firstTokenAtMs: number | null = null;

  /** @returns null when what was published is not how this answer begins. */
  static begin(
    request: EngineRequest,
    choice: number,
    published: PublishedChoice | undefined,
  ): ScriptedGeneration | null {
    const generation = new ScriptedGeneration(request, choice, published);
    return published === undefined || published.text === generation.#text(0, published.tokens.length)
      ? generation
      : null;
  }

  private constructor(request: EngineRequest, choice: number, published: PublishedChoice | undefined) {
    const { prepared } = request;
    this.id = request.id;
    this.choice = choice;
    this.order = request.order;
    this.isFollowed = request.isFollowed;
    this.promptLength = encodedLength(prepared.promptTokens);
    this.spoken = published === undefined ? null : { ended: published.ended };
    const seed = decodeTokens(prepared.promptTokens).reduce((sum, token) => (sum + token) % 9_973, choice);
    const wanted = 1 + (seed % MOST_WORDS);
    const length = Math.min(wanted, prepared.maxTokens);
    this.#isCut = length < wanted;
    this.#words = Array.from({ length }, (_, at) => WORDS[(seed + at * 7) % WORDS.length] as string);
    this.#said = published?.tokens.length ?? 0;
    this.#sent = this.#said;
  }

  get isOver(): boolean {
    return this.spoken?.ended != null || this.#said >= this.#words.length;
  }

  get finishReason(): FinishReason {
    return this.spoken?.ended?.finishReason ?? (this.#isCut ? "length" : "stop");
  }

  /** Generates the next word. */
  next(nowMs: number): void {
    this.#firstTokenAtMs ??= nowMs;
    this.#said += 1;
  }

  /** What was generated since the last call, as deltas. */
  takeUnsent(): Delta[] {
    if (this.#sent === this.#said) return [];
    const delta = this.#delta(this.#sent, this.#said);
    this.#sent = this.#said;
    return [delta];
  }

  ended(finishReason: FinishReason | null, nowMs: number): EndedGeneration {
    const text = this.#text(0, this.#said);
    const slotAtMs = this.enteredAtMs ?? nowMs;
    return {
      choice: { text, reasoning: "", toolCalls: [], finishReason, logprobs: null },
      completionTokens: this.#said,
      reasoningTokens: 0,
      cachedTokens: 0,
      timings: { slotAtMs, firstTokenAtMs: this.#firstTokenAtMs, endedAtMs: nowMs },
    };
  }

  #delta(from: number, to: number): Delta {
    const tokens = Array.from({ length: to - from }, (_, at) => from + at);
    const progress = { tokens, reasoningTokens: 0, promptTokens: this.promptLength };
    const delta = { text: this.#text(from, to), progress };
    return this.choice === 0 ? delta : { choice: this.choice, ...delta };
  }

  #text(from: number, to: number): string {
    return this.#words
      .slice(from, to)
      .map((word, at) => (from + at === 0 ? word : ` ${word}`))
      .join("");
  }
}
