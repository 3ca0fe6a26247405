import { QuernError } from "../contract/errors.ts";
import type { ToolCall } from "../contract/generation.ts";
import type { DeltaEvent, TokenEvent } from "../contract/token-event.ts";
import { type ChatUsage, chatCompletionId, toChatUsage } from "./chat-response.ts";

export interface ChatChunk {
  id: string;
  object: "chat.completion.chunk";
  /** Unix seconds. */
  created: number;
  model: string;
  choices: { index: 0; delta: object; logprobs: null; finish_reason: string | null }[];
  usage?: ChatUsage | null;
}

export interface ChatChunksOptions {
  jobId: string;
  model: string;
  createdAtMs: number;
  includeUsage: boolean;
}

/**
 * Translates a job's token events into the chunks of one chat stream. The stream of a client that knows no restarts
 * must survive one: what a new attempt says again is passed over as long as it is what was sent already.
 */
export class ChatChunks {
  readonly #options: ChatChunksOptions;
  readonly #text = new SentOnce("text");
  readonly #reasoning = new SentOnce("reasoning");
  readonly #sentCalls: ToolCall[] = [];
  /** How many tool calls the current attempt has made. */
  #calls = 0;
  #begun = false;

  constructor(options: ChatChunksOptions) {
    this.#options = options;
  }

  /**
   * `error` and an unsuccessful `end` have no chunk: the caller tells of them in its own way.
   * @throws QuernError `stream_diverged` when a new attempt says something else than was sent.
   */
  next(event: TokenEvent): ChatChunk[] {
    switch (event.type) {
      case "start":
        return this.#begin();
      case "restart":
        this.#text.restart();
        this.#reasoning.restart();
        this.#calls = 0;
        return this.#begin();
      case "delta":
        return this.#delta(event.data);
      case "error":
        return [];
      case "end": {
        const { status, finish_reason: finishReason, usage } = event.data;
        if (status !== "completed") return [];
        this.#assertAllRepeated();
        const last = [this.#chunk({}, finishReason)];
        if (!this.#options.includeUsage || usage === null) return last;
        return [...last, { ...this.#chunk({}, null), choices: [], usage: toChatUsage(usage) }];
      }
    }
  }

  #begin(): ChatChunk[] {
    if (this.#begun) return [];
    this.#begun = true;
    return [this.#chunk({ role: "assistant", content: "" }, null)];
  }

  #delta({ text, reasoning, tool_calls: calls }: DeltaEvent["data"]): ChatChunk[] {
    const chunks: ChatChunk[] = [];
    const newReasoning = this.#reasoning.next(reasoning ?? "");
    if (newReasoning !== "") chunks.push(this.#chunk({ reasoning_content: newReasoning }, null));
    const newText = this.#text.next(text ?? "");
    if (newText !== "") chunks.push(this.#chunk({ content: newText }, null));
    for (const call of calls ?? []) {
      const index = this.#calls++;
      const sent = this.#sentCalls[index];
      if (sent === undefined) {
        this.#sentCalls.push(call);
        chunks.push(this.#chunk({ tool_calls: [{ index, ...call }] }, null));
      } else if (!sameCall(sent, call)) throw diverged("tool calls");
    }
    return chunks;
  }

  /** A new attempt that ended sooner than the one before differs from it as well. */
  #assertAllRepeated(): void {
    this.#text.assertAllRepeated();
    this.#reasoning.assertAllRepeated();
    if (this.#calls < this.#sentCalls.length) throw diverged("tool calls");
  }

  #chunk(delta: object, finishReason: string | null): ChatChunk {
    const { jobId, model, createdAtMs, includeUsage } = this.#options;
    return {
      id: chatCompletionId(jobId),
      object: "chat.completion.chunk",
      created: Math.floor(createdAtMs / 1_000),
      model,
      choices: [{ index: 0, delta, logprobs: null, finish_reason: finishReason }],
      // With the option on, OpenAI's chunks carry the field throughout.
      ...(includeUsage ? { usage: null } : {}),
    };
  }
}

/** Text that leaves once, however often it is generated and however it is cut. */
class SentOnce {
  readonly #kind: string;
  #sent = "";
  #repeatedLength = 0;

  constructor(kind: string) {
    this.#kind = kind;
  }

  restart(): void {
    this.#repeatedLength = 0;
  }

  next(text: string): string {
    const known = this.#sent.slice(this.#repeatedLength, this.#repeatedLength + text.length);
    if (!text.startsWith(known)) throw diverged(this.#kind);
    const unsent = text.slice(known.length);
    this.#sent += unsent;
    this.#repeatedLength += text.length;
    return unsent;
  }

  assertAllRepeated(): void {
    if (this.#repeatedLength < this.#sent.length) throw diverged(this.#kind);
  }
}

/** Ids are drawn anew by every attempt. */
function sameCall(a: ToolCall, b: ToolCall): boolean {
  return a.function.name === b.function.name && a.function.arguments === b.function.arguments;
}

function diverged(what: string): QuernError {
  return new QuernError(
    "stream_diverged",
    `the job had to start again and its new ${what} differs from what was streamed; ask again, or follow the job's own events`,
  );
}
