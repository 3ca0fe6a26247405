import type { TokenEvent } from "../contract/token-event.ts";
import { type ChatUsage, chatCompletionId, toChatUsage } from "./chat-response.ts";
import { type ChoicePart, SentChoice } from "./sent-choice.ts";

export interface ChatChunk {
  id: string;
  object: "chat.completion.chunk";
  /** Unix seconds. */
  created: number;
  model: string;
  choices: ({ index: number } & ChoicePart)[];
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
  readonly #choices = new Map<number, SentChoice>();

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
        return this.#opened(0).chunks;
      case "restart":
        for (const choice of this.#choices.values()) choice.restart();
        return this.#opened(0).chunks;
      case "delta": {
        const { choice: index = 0 } = event.data;
        const { choice, chunks } = this.#opened(index);
        return [...chunks, ...this.#chunks(index, choice.next(event.data))];
      }
      case "error":
        return [];
      case "end": {
        const { status, finish_reason: finishReason, usage } = event.data;
        if (status !== "completed") return [];
        for (const choice of this.#choices.values()) choice.assertAllRepeated();
        const { choice, chunks } = this.#opened(0);
        const last = [...chunks, ...this.#chunks(0, choice.end(finishReason))];
        if (!this.#options.includeUsage || usage === null) return last;
        return [...last, { ...this.#chunk([]), usage: toChatUsage(usage) }];
      }
    }
  }

  /** A choice's first chunk says whose words they are. */
  #opened(index: number): { choice: SentChoice; chunks: ChatChunk[] } {
    const known = this.#choices.get(index);
    if (known !== undefined) return { choice: known, chunks: [] };
    const choice = new SentChoice();
    this.#choices.set(index, choice);
    const delta = { role: "assistant", content: "" };
    return { choice, chunks: this.#chunks(index, [{ delta, logprobs: null, finish_reason: null }]) };
  }

  #chunks(index: number, parts: ChoicePart[]): ChatChunk[] {
    return parts.map((part) => this.#chunk([{ index, ...part }]));
  }

  #chunk(choices: ChatChunk["choices"]): ChatChunk {
    const { jobId, model, createdAtMs, includeUsage } = this.#options;
    return {
      id: chatCompletionId(jobId),
      object: "chat.completion.chunk",
      created: Math.floor(createdAtMs / 1_000),
      model,
      choices,
      // With the option on, OpenAI's chunks carry the field throughout.
      ...(includeUsage ? { usage: null } : {}),
    };
  }
}
