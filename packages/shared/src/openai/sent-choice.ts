import type { FinishReason, TokenLogprob, ToolCallDelta } from "../contract/generation.ts";
import type { DeltaEvent } from "../contract/token-event.ts";
import { diverged, SentText, SentTokens, SentToolCall } from "./sent-once.ts";

/** What is new of one choice, in no endpoint's form yet. */
export type NewPart =
  | { kind: "reasoning"; text: string }
  | { kind: "text"; text: string; logprobs: TokenLogprob[] }
  | { kind: "tool_call"; call: ToolCallDelta }
  | { kind: "end"; finishReason: FinishReason | null };

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
  #end: { finishReason: FinishReason | null } | null = null;

  restart(): void {
    for (const sent of this.#all()) sent.restart();
  }

  /** The parts that are new. @throws QuernError `stream_diverged`. */
  next(data: DeltaEvent["data"]): NewPart[] {
    const { text = "", reasoning = "", tool_calls: calls = [], logprobs: tokens = [] } = data;
    const parts: NewPart[] = [];
    const newReasoning = this.#reasoning.next(reasoning);
    if (newReasoning !== "") parts.push({ kind: "reasoning", text: newReasoning });
    const newText = this.#text.next(text);
    const logprobs = this.#tokens.next(tokens);
    if (newText !== "" || logprobs.length > 0) parts.push({ kind: "text", text: newText, logprobs });
    for (const call of calls) {
      const newPiece = this.#callOf(call).next(call);
      if (newPiece !== null) parts.push({ kind: "tool_call", call: newPiece });
    }
    if (parts.length > 0 && this.#end !== null) throw diverged("length");
    return data.finish_reason === undefined ? parts : [...parts, ...this.end(data.finish_reason)];
  }

  /** The last part; none when an earlier attempt ended likewise. */
  end(finishReason: FinishReason | null): NewPart[] {
    this.assertAllRepeated();
    if (this.#end === null) {
      this.#end = { finishReason };
      return [{ kind: "end", finishReason }];
    }
    if (this.#end.finishReason !== finishReason) throw diverged("end");
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
