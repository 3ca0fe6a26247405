import type {
  GeneratedChoice,
  TokenLogprob,
  ToolCall,
  ToolCallDelta,
} from "@quern/shared/contract/generation";
import type { DeltaProgress } from "@quern/shared/contract/token-event";
import { appendDelta, type Delta } from "../../../protocol/delta.ts";
import { LogprobTrail, type TokenBytes, type TokenProbability } from "./logprob-trail.ts";
import {
  OutputParser,
  type OutputParserOptions,
  type OutputPart,
  type OutputPhase,
} from "./output-parser.ts";
import { StopFilter } from "./stop-filter.ts";
import { type Detokenize, TokenText } from "./token-text.ts";

export interface GenerationOutputOptions extends OutputParserOptions {
  stop: readonly string[];
  detokenize: Detokenize;
  /** null: the request asks for no log-probabilities. */
  tokenBytes: TokenBytes | null;
  /** Which of the request's answers this is, from 0. */
  choice: number;
}

/** What only the generation knows of a delta that is taken. */
export interface TakenWith {
  promptTokens: number;
  /** null: it goes on. */
  ended: NonNullable<DeltaProgress["ended"]> | null;
}

/**
 * All stages between a sampled token and what the caller reads:
 *
 *   token ─▶ whole characters ─▶ reasoning | content | tool calls ─▶ content up to a stop string ─▶ deltas
 *
 * Stop strings end the content; reasoning and tool calls pass them. Log-probabilities go beside the stages and join
 * the content they belong to at the end.
 */
export class GenerationOutput {
  readonly #tokenText: TokenText;
  readonly #parser: OutputParser;
  readonly #stopFilter: StopFilter;
  readonly #trail: LogprobTrail | null;
  readonly #choice: number;
  readonly #toolCalls: ToolCall[] = [];
  readonly #logprobs: TokenLogprob[] = [];
  #text = "";
  #reasoning = "";
  #reasoningTokens = 0;
  #unsent: Delta[] = [];
  /** Read since the last delta was taken. */
  #progress = nothingRead();

  constructor(options: GenerationOutputOptions) {
    this.#tokenText = new TokenText(options.detokenize);
    this.#parser = new OutputParser(options);
    this.#stopFilter = new StopFilter(options.stop);
    this.#trail = options.tokenBytes === null ? null : new LogprobTrail(options.tokenBytes);
    this.#choice = options.choice;
  }

  get phase(): OutputPhase {
    return this.#parser.phase;
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

  /** `probability` matters only where the request asks for it; while thinking and calling it need not be known. */
  push(token: number, probability: TokenProbability | null = null): void {
    this.#progress.tokens.push(token);
    if (this.#trail !== null) {
      this.#progress.probabilities ??= [];
      this.#progress.probabilities.push(copyOf(probability));
    }
    const phaseBefore = this.#parser.phase;
    const text = this.#tokenText.push(token);
    this.#trail?.token(token, probability, text.length, this.#tokenText.holding);
    this.#take(this.#parser.push(text));
    if (phaseBefore === "thinking" || this.#parser.phase === "thinking") {
      this.#reasoningTokens += 1;
      this.#progress.reasoningTokens += 1;
    }
  }

  /** No token follows: what any stage still holds comes out. */
  end(): void {
    const rest = this.#tokenText.end();
    this.#trail?.rest(rest.length);
    this.#take(this.#parser.push(rest));
    this.#take(this.#parser.end());
    this.#addText(this.#stopFilter.end());
  }

  /**
   * What came out since the last call, neighbours of one kind merged. The last one carries by which tokens, so that a
   * later attempt can go on behind it. `ended`: this is all, also what was held back.
   */
  takeUnsent({ promptTokens, ended }: TakenWith): Delta[] {
    const deltas = this.#unsent;
    const last = deltas.at(-1);
    if (last === undefined) return [];
    last.progress = { ...this.#progress, promptTokens, ...(ended === null ? {} : { ended }) };
    this.#unsent = [];
    this.#progress = nothingRead();
    return deltas;
  }

  /** All that came out so far, sent or not. */
  result(): Omit<GeneratedChoice, "finishReason"> {
    return {
      text: this.#text,
      reasoning: this.#reasoning,
      toolCalls: this.#toolCalls.map((call) => ({ ...call, function: { ...call.function } })),
      logprobs: this.#trail === null ? null : [...this.#logprobs],
    };
  }

  #take(parts: OutputPart[]): void {
    for (const part of parts) {
      if (this.#stopFilter.stopped) return;
      if (part.kind === "text") {
        this.#trail?.content(part.from, part.text.length);
        this.#addText(this.#stopFilter.push(part.text));
        continue;
      }
      this.#trail?.skip(part.to);
      if (part.kind === "reasoning") {
        this.#reasoning += part.text;
        this.#add({ reasoning: part.text });
      } else {
        this.#addToCall(part.call);
        this.#add({ tool_calls: [part.call] });
      }
    }
  }

  #addText(text: string): void {
    if (text === "") return;
    this.#text += text;
    const logprobs = this.#trail?.release(text.length) ?? [];
    this.#logprobs.push(...logprobs);
    this.#add(logprobs.length === 0 ? { text } : { text, logprobs });
  }

  #addToCall({ index, id, function: { name, arguments: piece = "" } }: ToolCallDelta): void {
    const call = this.#toolCalls[index];
    if (call !== undefined) call.function.arguments += piece;
    else
      this.#toolCalls.push({
        id: id ?? "",
        type: "function",
        function: { name: name ?? "", arguments: piece },
      });
  }

  #add(delta: Delta): void {
    appendDelta(this.#unsent, this.#choice === 0 ? delta : { choice: this.#choice, ...delta });
  }
}

function nothingRead(): Omit<DeltaProgress, "promptTokens"> {
  return { tokens: [], reasoningTokens: 0 };
}

function copyOf(probability: TokenProbability | null): NonNullable<DeltaProgress["probabilities"]>[number] {
  if (probability === null) return null;
  return { logprob: probability.logprob, top: probability.top.map((other) => ({ ...other })) };
}
