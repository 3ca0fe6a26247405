import type { FinishReason, ToolCallDelta } from "../contract/generation.ts";
import type { DeltaEvent } from "../contract/token-event.ts";
import { type ChatLogprobs, toChatLogprobs } from "./chat-logprobs.ts";
import { diverged, SentText, SentTokens, SentToolCall } from "./sent-once.ts";

/** What one chunk says of one choice. */
export interface ChoicePart {
  delta: object;
  logprobs: ChatLogprobs | null;
  finish_reason: string | null;
}

/**
 * What a client was sent of one choice, over all attempts. Reasoning, text, tokens and tool calls are compared apart:
 * a new attempt cuts and mixes them otherwise.
 */
export class SentChoice {
  readonly #text = new SentText("text");
  readonly #reasoning = new SentText("reasoning");
  readonly #tokens = new SentTokens();
  readonly #calls = new Map<number, SentToolCall>();
  /** null: its last part was not sent yet. */
  #end: { reason: FinishReason | null } | null = null;

  restart(): void {
    for (const sent of this.#all()) sent.restart();
  }

  /** The parts that are new. @throws QuernError `stream_diverged`. */
  next(data: DeltaEvent["data"]): ChoicePart[] {
    const { text = "", reasoning = "", tool_calls: calls = [], logprobs: tokens = [] } = data;
    const parts: ChoicePart[] = [];
    const newReasoning = this.#reasoning.next(reasoning);
    if (newReasoning !== "") parts.push(partOf({ reasoning_content: newReasoning }));
    const newText = this.#text.next(text);
    const newTokens = this.#tokens.next(tokens);
    if (newTokens.length > 0) {
      parts.push({ ...partOf({ content: newText }), logprobs: toChatLogprobs(newTokens) });
    } else if (newText !== "") parts.push(partOf({ content: newText }));
    for (const call of calls) {
      const newPiece = this.#callOf(call).next(call);
      if (newPiece !== null) parts.push(partOf({ tool_calls: [newPiece] }));
    }
    if (parts.length > 0 && this.#end !== null) throw diverged("length");
    return data.finish_reason === undefined ? parts : [...parts, ...this.end(data.finish_reason)];
  }

  /** The last part; none when an earlier attempt ended likewise. */
  end(reason: FinishReason | null): ChoicePart[] {
    this.assertAllRepeated();
    if (this.#end === null) {
      this.#end = { reason };
      return [{ ...partOf({}), finish_reason: reason }];
    }
    if (this.#end.reason !== reason) throw diverged("end");
    return [];
  }

  /** A new attempt that said less than the one before differs from it as well. */
  assertAllRepeated(): void {
    for (const sent of this.#all()) sent.assertAllRepeated();
  }

  #callOf({ index }: ToolCallDelta): SentToolCall {
    const call = this.#calls.get(index) ?? new SentToolCall();
    this.#calls.set(index, call);
    return call;
  }

  #all() {
    return [this.#text, this.#reasoning, this.#tokens, ...this.#calls.values()];
  }
}

function partOf(delta: object): ChoicePart {
  return { delta, logprobs: null, finish_reason: null };
}
