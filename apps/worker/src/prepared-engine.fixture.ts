import type { EmbeddingRequest } from "@quern/shared/contract/embedding";
import type { GenerationRequest } from "@quern/shared/contract/generation";
import type { TestModelOptions } from "./model-options.fixture.ts";
import { Preparer } from "./prepare/preparer.ts";
import { loadVocabulary } from "./prepare/tokens/vocabulary.ts";
import type { Embedded, EngineRequest, Generated } from "./protocol/engine-messages.ts";
import type { LoadedModelFacts } from "./protocol/engine-options.ts";
import type { InputsRequest, PromptRequest } from "./protocol/prepare-messages.ts";
import {
  type ChildSettings,
  DEFAULT_CHILD,
  EngineProcess,
  type RequestListener,
} from "./supervise/engine-process.ts";

/** A request on its way into an engine, not prepared yet. */
export type UnpreparedRequest = Omit<EngineRequest, "prepared"> & { request: GenerationRequest };

/** A request as a worker hands an interactive job to its engine, for tests. */
export function engineRequest(
  id: string,
  request: GenerationRequest,
  changes: Partial<UnpreparedRequest> = {},
): UnpreparedRequest {
  return {
    id,
    order: { rank: 0, leaveFree: 0 },
    isFollowed: true,
    request,
    traceparent: null,
    cacheScope: "default",
    published: [],
    ...changes,
  };
}

/** An engine child, and its requests prepared in this process. */
export class PreparedEngine {
  readonly #engine: EngineProcess;
  readonly #preparer: Preparer;

  static async start(
    options: TestModelOptions,
    settings: ChildSettings = DEFAULT_CHILD,
  ): Promise<PreparedEngine> {
    const preparer = new Preparer(await loadVocabulary(options.modelPath), options);
    const { warmPrefixes } = preparer.facts;
    const never = new AbortController().signal;
    return new PreparedEngine(await EngineProcess.start(options, warmPrefixes, never, settings), preparer);
  }

  private constructor(engine: EngineProcess, preparer: Preparer) {
    this.#engine = engine;
    this.#preparer = preparer;
  }

  get facts(): LoadedModelFacts {
    return this.#engine.facts;
  }

  get pid(): number {
    return this.#engine.pid;
  }

  get exited(): Promise<string | null> {
    return this.#engine.exited;
  }

  async generate(
    { request, ...rest }: UnpreparedRequest,
    listener: RequestListener,
    signal: AbortSignal,
  ): Promise<Generated> {
    const prepared = this.#preparer.prepare(request);
    if (prepared.kind !== "generation") throw new Error("a chat was prepared as something else");
    return this.#engine.generate({ ...rest, prepared: prepared.generation }, listener, signal);
  }

  async embed(id: string, request: EmbeddingRequest, signal: AbortSignal): Promise<Embedded> {
    const prepared = this.#preparer.prepare(request);
    if (prepared.kind !== "embedding") throw new Error("texts were prepared as something else");
    return this.#engine.embed({ id, prepared: prepared.embedding, traceparent: null }, signal);
  }

  countTokens(request: PromptRequest | InputsRequest): number[] {
    return this.#preparer.count(request);
  }

  countPromptTokens(request: PromptRequest): number {
    return this.countTokens(request)[0] ?? 0;
  }

  close(): Promise<void> {
    return this.#engine.close();
  }
}
