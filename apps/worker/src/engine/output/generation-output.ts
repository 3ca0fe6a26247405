import type { GenerationResult, ToolCall } from "@quern/shared/contract/generation";
import type { DeltaEvent } from "@quern/shared/contract/token-event";
import { OutputParser, type OutputParserOptions, type OutputPart } from "./output-parser.ts";
import { StopFilter } from "./stop-filter.ts";
import { type Detokenize, TokenText } from "./token-text.ts";

export type Delta = DeltaEvent["data"];

export interface GenerationOutputOptions extends OutputParserOptions {
  stop: readonly string[];
  detokenize: Detokenize;
}

/**
 * All stages between a sampled token and what the caller reads:
 *
 *   token ─▶ whole characters ─▶ reasoning | content | tool calls ─▶ content up to a stop string ─▶ deltas
 *
 * Stop strings end the content; reasoning and tool calls pass them.
 */
export class GenerationOutput {
  readonly #tokenText: TokenText;
  readonly #parser: OutputParser;
  readonly #stopFilter: StopFilter;
  readonly #toolCalls: ToolCall[] = [];
  #text = "";
  #reasoning = "";
  #reasoningTokens = 0;
  #unsent: Delta[] = [];

  constructor(options: GenerationOutputOptions) {
    this.#tokenText = new TokenText(options.detokenize);
    this.#parser = new OutputParser(options);
    this.#stopFilter = new StopFilter(options.stop);
  }

  /** Tokens of the think block, its markers included. */
  get reasoningTokens(): number {
    return this.#reasoningTokens;
  }

  /** A stop string has ended the content: no further token can be read. */
  get stopped(): boolean {
    return this.#stopFilter.stopped;
  }

  get hasUnsent(): boolean {
    return this.#unsent.length > 0;
  }

  push(token: number): void {
    const wasThinking = this.#parser.thinking;
    this.#take(this.#parser.push(this.#tokenText.push(token)));
    if (wasThinking || this.#parser.thinking) this.#reasoningTokens += 1;
  }

  /** No token follows: what any stage still holds comes out. */
  end(): void {
    this.#take(this.#parser.push(this.#tokenText.end()));
    this.#take(this.#parser.end());
    this.#add({ text: this.#stopFilter.end() });
  }

  /** What came out since the last call, neighbours of one kind merged. */
  takeUnsent(): Delta[] {
    const deltas = this.#unsent;
    this.#unsent = [];
    return deltas;
  }

  result(): Omit<GenerationResult, "finishReason"> {
    return { text: this.#text, reasoning: this.#reasoning, toolCalls: [...this.#toolCalls] };
  }

  #take(parts: OutputPart[]): void {
    for (const part of parts) {
      if (this.#stopFilter.stopped) return;
      if (part.kind === "text") this.#add({ text: this.#stopFilter.push(part.text) });
      else if (part.kind === "reasoning") this.#add({ reasoning: part.text });
      else this.#add({ tool_calls: [part.call] });
    }
  }

  #add(delta: Delta): void {
    if (delta.text === "") return;
    this.#text += delta.text ?? "";
    this.#reasoning += delta.reasoning ?? "";
    this.#toolCalls.push(...(delta.tool_calls ?? []));
    appendDelta(this.#unsent, delta);
  }
}

/** Adds a delta to a list, into its last one where both carry the same kind of text. */
export function appendDelta(deltas: Delta[], delta: Delta): void {
  const last = deltas.at(-1);
  if (last?.text !== undefined && delta.text !== undefined) last.text += delta.text;
  else if (last?.reasoning !== undefined && delta.reasoning !== undefined) last.reasoning += delta.reasoning;
  else deltas.push({ ...delta });
}
