import type { ModelDescription, WorkerRegistration } from "@quern/shared/contract/worker";
import { listServedModels, listWorkers } from "@quern/shared/redis/registry";
import type { Redis } from "ioredis";
import type { MeasuredLengths } from "./line-cost.ts";

/** A worker's comings and goings are seen this late at most. */
const CACHE_MS = 1_000;

/** What is known of one model and those who serve it. */
export interface ServedModel {
  /** null: Redis has lost it. */
  description: ModelDescription | null;
  /** All models, to name those that can what this one can't. */
  served: ModelDescription[];
  /** Those that take jobs, or will again. */
  workers: WorkerRegistration[];
  lengths: MeasuredLengths;
}

/** Models and workers as the registry has them. */
export class ServedModels {
  readonly #redis: Redis;
  #cached: { untilMs: number; read: Promise<[ModelDescription[], WorkerRegistration[]]> } | null = null;

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  async find(model: string): Promise<ServedModel> {
    const [served, all] = await this.#read();
    const workers = all.filter((worker) => worker.description.model === model && worker.state !== "draining");
    const description = served.find((one) => one.model === model) ?? null;
    const measured = workers.find(({ rates }) => rates?.lengths.batch != null) ?? workers[0];
    const lengths = measured?.rates?.lengths.batch ?? measured?.rates?.lengths.interactive ?? null;
    return { description, served, workers, lengths };
  }

  /** All models that a worker ever served, and all workers whose heartbeat is fresh. */
  async all(): Promise<{ models: ModelDescription[]; workers: WorkerRegistration[] }> {
    const [models, workers] = await this.#read();
    return { models, workers };
  }

  #read(): Promise<[ModelDescription[], WorkerRegistration[]]> {
    if (this.#cached !== null && performance.now() < this.#cached.untilMs) return this.#cached.read;
    const read = Promise.all([listServedModels(this.#redis), listWorkers(this.#redis)]);
    this.#cached = { untilMs: performance.now() + CACHE_MS, read };
    // A failure is not remembered: Redis may be back at once.
    read.catch(() => {
      this.#cached = null;
    });
    return read;
  }
}
