import type { JobRecord } from "@quern/shared/contract/job";
import type { PublishedChoice } from "@quern/shared/contract/published-choice";
import type { Embedded, Generated } from "../protocol/engine-messages.ts";
import type { EntryOrder } from "../protocol/entry-order.ts";
import type { EngineProcess, RequestListener } from "../supervise/engine-process.ts";
import type { Preparation } from "../supervise/preparation.ts";

/** A job's place among the slots. */
export interface JobPlace {
  /** Its preparation takes long: others may have its slot meanwhile. */
  setAside: () => void;
  /** Resolves when the job may enter the engine. @throws the reason of `signal`'s abort. */
  enter: (signal: AbortSignal) => Promise<EntryOrder>;
}

interface InferenceRequest {
  record: JobRecord;
  published: PublishedChoice[];
  traceparent: string | null;
}

/** The way of one job through preparation, a slot and the engine. */
export class Inference {
  readonly #preparation: Preparation;
  readonly #engines: { readonly current: EngineProcess | null };
  readonly #place: JobPlace;
  readonly #cacheScopeOf: (tenant: string) => string;

  constructor(options: {
    preparation: Preparation;
    engines: { readonly current: EngineProcess | null };
    place: JobPlace;
    /** Tenants of one scope may reuse each other's prompt caches. */
    cacheScopeOf: (tenant: string) => string;
  }) {
    this.#preparation = options.preparation;
    this.#engines = options.engines;
    this.#place = options.place;
    this.#cacheScopeOf = options.cacheScopeOf;
  }

  /**
   * @returns what the engine gave, `finishReason` null where `signal` cut it off; null: the engine is down.
   * @throws QuernError when the request is refused; EngineDied, PreparerDied; the reason of `signal`'s abort while the
   * request still waited.
   */
  async run(
    { record, published, traceparent }: InferenceRequest,
    listener: RequestListener,
    signal: AbortSignal,
  ): Promise<Generated | Embedded | null> {
    const { id, request, tenant, line } = record;
    const prepared = await this.#preparation.prepare(id, request, this.#place.setAside, signal);
    const order = await this.#place.enter(signal);
    const engine = this.#engines.current;
    if (engine === null) return null;
    if (prepared.kind === "embedding") {
      return engine.embed({ id, prepared: prepared.embedding, traceparent }, signal);
    }
    const cacheScope = this.#cacheScopeOf(tenant);
    return engine.generate(
      {
        id,
        order,
        isFollowed: line === null,
        prepared: prepared.generation,
        traceparent,
        cacheScope,
        published,
      },
      listener,
      signal,
    );
  }
}
