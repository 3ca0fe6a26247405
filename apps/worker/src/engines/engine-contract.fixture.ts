import { type PublishedChoice, publishedChoices } from "@quern/shared/contract/published-choice";
import type { Delta } from "../protocol/delta.ts";
import type { Engine, OpenEngine } from "../protocol/engine.ts";
import type {
  Embedded,
  EngineRequest,
  Generated,
  GenerationEvent,
  StepReport,
} from "../protocol/engine-messages.ts";
import type { EngineOptions } from "../protocol/engine-options.ts";
import type { Occupancy } from "../protocol/entry-order.ts";
import type { PreparedEmbedding, PreparedGeneration } from "../protocol/prepared-request.ts";
import { encodeTokens } from "../protocol/token-ids.ts";

/** A request in an engine under test. */
export interface ContractRequest {
  readonly id: string;
  readonly deltas: Delta[];
  restarts: number;
  /** Rejects with the job's error when it is refused. */
  readonly done: Promise<Generated | Embedded>;
  /** What its deltas say of each choice. */
  published(): PublishedChoice[];
}

/** An engine in this process, and all that it reported. */
export class ContractEngine implements AsyncDisposable {
  readonly engine: Engine;
  readonly reports: StepReport[] = [];
  #occupancy: Occupancy = { slots: [], waiting: [] };
  readonly #requests: Map<string, ContractRequest & { take: (event: GenerationEvent) => void }>;
  readonly #ended: Promise<void>;
  #listeners: (() => void)[] = [];

  static async open(open: OpenEngine, options: EngineOptions): Promise<ContractEngine> {
    let self: ContractEngine | null = null;
    const engine = await open(options, [], {
      stepped: (report) => self?.take(report),
      embedded: (events) => self?.takeEvents(events),
      nowMs: () => performance.timeOrigin + performance.now(),
    });
    self = new ContractEngine(engine);
    return self;
  }

  private constructor(engine: Engine) {
    this.engine = engine;
    this.#requests = new Map();
    this.#ended = engine.run();
  }

  get occupancy(): Occupancy {
    return this.#occupancy;
  }

  generate(
    changes: Partial<Omit<EngineRequest, "prepared">> & { prepared?: Partial<PreparedGeneration> } = {},
  ) {
    const id = changes.id ?? `job_${this.#requests.size + 1}`;
    const request = this.#begin(id);
    this.engine.generate({
      order: { rank: 0, leaveFree: 0 },
      isFollowed: true,
      traceparent: null,
      cacheScope: "default",
      published: [],
      ...changes,
      id,
      prepared: { ...PLAIN, ...changes.prepared },
    });
    return request;
  }

  embed(prepared: PreparedEmbedding) {
    const id = `job_${this.#requests.size + 1}`;
    const request = this.#begin(id);
    this.engine.embed({ id, prepared, traceparent: null });
    return request;
  }

  /** Resolves with the first report after which the condition holds. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#listeners.push(resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.engine.close();
    await this.#ended;
    await this.engine[Symbol.asyncDispose]();
  }

  #begin(id: string): ContractRequest {
    const { promise: done, resolve, reject } = Promise.withResolvers<Generated | Embedded>();
    // A test that expects no refusal awaits it; one that never looks must not end the process.
    done.catch(() => {});
    const deltas: Delta[] = [];
    const request = {
      id,
      deltas,
      restarts: 0,
      done,
      published: () => publishedChoices(deltas.map((data) => ({ type: "delta", data }))),
      take: (event: GenerationEvent) => {
        if (event.type === "deltas") deltas.push(...event.deltas);
        else if (event.type === "restarted") request.restarts += 1;
        else if (event.type === "generated") resolve(event.generated);
        else if (event.type === "embedded") resolve(event.embedded);
        else reject(event.error);
      },
    };
    this.#requests.set(id, request);
    return request;
  }

  take(report: StepReport): void {
    this.reports.push(report);
    if (report.occupancy !== null) this.#occupancy = report.occupancy;
    this.takeEvents(report.events);
  }

  takeEvents(events: readonly GenerationEvent[]): void {
    for (const event of events) this.#requests.get(event.id)?.take(event);
    const listeners = this.#listeners;
    this.#listeners = [];
    for (const listener of listeners) listener();
  }
}

/** A prompt of some tokens, answered greedily. */
const PLAIN: PreparedGeneration = {
  promptTokens: encodeTokens([5, 9, 17, 23, 4]),
  begin: "answering",
  grammar: null,
  maxTokens: 12,
  sampling: { temperature: 0 },
  seed: 1,
  logitBias: [],
  thinkingBudget: null,
  topLogprobs: null,
  choices: 1,
  stop: [],
  tools: [],
  toolCallForm: "hermes",
};
