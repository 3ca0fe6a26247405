import { type EmbeddingResult, refuseUnboundedVectors } from "@quern/shared/contract/embedding";
import { QuernError } from "@quern/shared/contract/errors";
import type { LlamaEmbeddingContext, LlamaModel, Token } from "node-llama-cpp";
import { asError } from "../../../protocol/as-error.ts";
import type { EngineObserver } from "../../../protocol/engine.ts";
import type { EmbeddingCommand, GenerationEvent } from "../../../protocol/engine-messages.ts";
import type { EngineOptions } from "../../../protocol/engine-options.ts";
import { toJobError } from "../../../protocol/job-error.ts";
import type { PreparedEmbedding } from "../../../protocol/prepared-request.ts";
import { decodeTokens } from "../../../protocol/token-ids.ts";
import { encodeVector } from "../../vector.ts";
import { openEmbeddingContext, refuseOtherPooling } from "./embedding-context.ts";

type EmbedderObserver = Pick<EngineObserver, "embedded" | "nowMs">;

/**
 * Makes vectors of texts, beside the step loop and in a context of its own. That one takes an input at a time, first
 * come first served; a request asks for its next one when it has the last, so requests take turns.
 */
export class Embedder implements AsyncDisposable {
  readonly #model: LlamaModel;
  readonly #options: EngineOptions;
  readonly #observer: EmbedderObserver;
  /** null: nobody has asked a chat model for vectors yet. */
  #context: Promise<LlamaEmbeddingContext> | null = null;
  /** Requests that have not ended. */
  readonly #live = new Map<string, { stop: AbortController; ended: Promise<void> }>();

  /**
   * An embedding model has its context at once.
   * @throws QuernError `model_file_invalid` when it is no model of Qwen's kind.
   */
  static async start(
    model: LlamaModel,
    options: EngineOptions,
    observer: EmbedderObserver,
  ): Promise<Embedder> {
    const embedder = new Embedder(model, options, observer);
    if (options.kind === "embedding") {
      refuseOtherPooling(model);
      await embedder.#openContext();
    }
    return embedder;
  }

  private constructor(model: LlamaModel, options: EngineOptions, observer: EmbedderObserver) {
    this.#model = model;
    this.#options = options;
    this.#observer = observer;
  }

  /** What comes of it is reported, a refusal as well. */
  submit({ id, prepared }: Pick<EmbeddingCommand, "id" | "prepared">): void {
    const stop = new AbortController();
    const ended = this.#run(id, prepared, stop.signal)
      .catch((error: unknown): GenerationEvent => ({ type: "refused", id, error: toJobError(error) }))
      .then((event) => {
        this.#live.delete(id);
        this.#observer.embedded([event]);
      });
    this.#live.set(id, { stop, ended });
  }

  /** The request ends after the input that is being read. Unknown ids have ended already. */
  cancel(id: string): void {
    this.#live.get(id)?.stop.abort();
  }

  /** What still runs is dropped. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const { stop } of this.#live.values()) stop.abort();
    await Promise.all([...this.#live.values()].map(({ ended }) => ended));
    await (await this.#context?.catch(() => null))?.dispose();
  }

  async #run(id: string, request: PreparedEmbedding, signal: AbortSignal): Promise<GenerationEvent> {
    refuseUnboundedVectors(request, this.#model.embeddingVectorSize);
    const inputs = request.inputs.map((tokens) => decodeTokens(tokens) as Token[]);
    const inputTokens = inputs.map(({ length }) => length);
    const context = await this.#openContext();

    const slotAtMs = this.#observer.nowMs();
    const vectors: string[] = [];
    for (const tokens of inputs) {
      if (signal.aborted) break;
      vectors.push(await this.#embed(context, tokens, request.dimensions));
      this.#observer.embedded([]);
    }
    const isWhole = vectors.length === inputs.length;
    const result: EmbeddingResult | null = isWhole ? { vectors, encoding: request.encoding } : null;
    const promptTokens = inputTokens.slice(0, vectors.length).reduce((sum, tokens) => sum + tokens, 0);
    const usage = { promptTokens, completionTokens: 0, reasoningTokens: 0, cachedTokens: 0 };
    const timings = { slotAtMs, firstTokenAtMs: null, endedAtMs: this.#observer.nowMs() };
    return { type: "embedded", id, embedded: { result, usage, timings } };
  }

  async #embed(context: LlamaEmbeddingContext, tokens: Token[], dimensions: number | null): Promise<string> {
    try {
      const { vector } = await context.getEmbeddingFor(tokens);
      return encodeVector(vector, dimensions ?? vector.length);
    } catch (error) {
      throw engineFailed("could not go on", error);
    }
  }

  /** One for all; a failure is not remembered, memory may be free later. */
  #openContext(): Promise<LlamaEmbeddingContext> {
    this.#context ??= openEmbeddingContext(this.#model, this.#options).catch((error: unknown) => {
      this.#context = null;
      throw engineFailed("has no room for embeddings", error);
    });
    return this.#context;
  }
}

function engineFailed(how: string, cause: unknown): QuernError {
  return new QuernError("engine_failed", `the engine ${how}: ${asError(cause).message}`, { cause });
}
