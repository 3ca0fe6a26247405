import type { TokenEvent } from "../contract/token-event.ts";
import { type ChatUsage, toChatUsage } from "./chat-response.ts";
import { type NewPart, SentChoice } from "./sent-choice.ts";

/** One chunk of a stream; all of them have the same head. */
export interface AnswerChunk<Choice, Name extends string> {
  id: string;
  object: Name;
  /** Unix seconds. */
  created: number;
  model: string;
  choices: Choice[];
  usage?: ChatUsage | null;
}

/** How an endpoint writes what is new of one choice. */
export interface ChunkForm<Choice, Name extends string> {
  object: Name;
  /** Fields of its own that every chunk carries. */
  head: object;
  id: (jobId: string) => string;
  /** What a choice begins with, before it has said anything. */
  opening: (index: number) => Choice[];
  /** A choice that has nothing to say. */
  empty: (index: number) => Choice;
  part: (index: number, part: NewPart) => Choice;
}

export interface AnswerChunksOptions {
  jobId: string;
  model: string;
  createdAtMs: number;
  includeUsage: boolean;
  /** How many choices the job was asked for. */
  choices: number;
}

/**
 * Translates a job's token events into the chunks of one stream. The stream of a client that knows no restarts
 * must survive one: what a new attempt says again is passed over as long as it is what was sent already.
 */
export class AnswerChunks<Choice, Name extends string> {
  readonly #form: ChunkForm<Choice, Name>;
  readonly #options: AnswerChunksOptions;
  readonly #choices = new Map<number, SentChoice>();
  /** The choices that any chunk was about. */
  readonly #told = new Set<number>();

  constructor(form: ChunkForm<Choice, Name>, options: AnswerChunksOptions) {
    this.#form = form;
    this.#options = options;
  }

  /**
   * Tells no failure: of `error` and an unsuccessful `end` the caller tells in its own way. An unsuccessful `end` completes
   * the choices of a job that had begun: each that has no chunk yet gets an empty one.
   * @throws QuernError `stream_diverged` when a new attempt says something else than was sent.
   */
  next(event: TokenEvent): AnswerChunk<Choice, Name>[] {
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
        if (status !== "completed") return this.#emptyOnes();
        for (const choice of this.#choices.values()) choice.assertAllRepeated();
        const { choice, chunks } = this.#opened(0);
        const last = [...chunks, ...this.#chunks(0, choice.end(finishReason))];
        if (!this.#options.includeUsage || usage === null) return last;
        return [...last, { ...this.#chunk([]), usage: toChatUsage(usage) }];
      }
    }
  }

  #opened(index: number): { choice: SentChoice; chunks: AnswerChunk<Choice, Name>[] } {
    const known = this.#choices.get(index);
    if (known !== undefined) return { choice: known, chunks: [] };
    const choice = new SentChoice();
    this.#choices.set(index, choice);
    return { choice, chunks: this.#chunksOf(index, this.#form.opening(index)) };
  }

  #emptyOnes(): AnswerChunk<Choice, Name>[] {
    if (this.#choices.size === 0) return [];
    const untold = Array.from({ length: this.#options.choices }, (_, at) => at).filter(
      (index) => !this.#told.has(index),
    );
    return untold.flatMap((index) => this.#chunksOf(index, [this.#form.empty(index)]));
  }

  #chunks(index: number, parts: NewPart[]): AnswerChunk<Choice, Name>[] {
    return this.#chunksOf(
      index,
      parts.map((part) => this.#form.part(index, part)),
    );
  }

  #chunksOf(index: number, choices: Choice[]): AnswerChunk<Choice, Name>[] {
    if (choices.length > 0) this.#told.add(index);
    return choices.map((choice) => this.#chunk([choice]));
  }

  #chunk(choices: Choice[]): AnswerChunk<Choice, Name> {
    const { jobId, model, createdAtMs, includeUsage } = this.#options;
    return {
      id: this.#form.id(jobId),
      object: this.#form.object,
      created: Math.floor(createdAtMs / 1_000),
      model,
      ...this.#form.head,
      choices,
      // With the option on, OpenAI's chunks carry the field throughout.
      ...(includeUsage ? { usage: null } : {}),
    };
  }
}
