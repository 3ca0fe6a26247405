import { QuernError } from "@quern/shared/contract/errors";
import type { ModelDescription, WorkerRegistration } from "@quern/shared/contract/worker";
import type { Catalogue } from "@quern/shared/models/catalogue";
import { listServedModels, listWorkers } from "@quern/shared/redis/registry";
import type { Redis } from "ioredis";

/** A worker's comings and goings are seen this late at most. */
const CACHE_MS = 1_000;

export interface KnownModel {
  description: ModelDescription;
  /** Those whose heartbeat is fresh, whatever their state. */
  workers: WorkerRegistration[];
}

/** Which models jobs can be queued for: those that a worker serves, or ever served. */
export class KnownModels {
  readonly #redis: Redis;
  readonly #catalogue: Catalogue;
  #cached: { untilMs: number; models: Promise<KnownModel[]> } | null = null;

  constructor(redis: Redis, catalogue: Catalogue) {
    this.#redis = redis;
    this.#catalogue = catalogue;
  }

  get catalogue(): Catalogue {
    return this.#catalogue;
  }

  list(): Promise<KnownModel[]> {
    if (this.#cached !== null && performance.now() < this.#cached.untilMs) return this.#cached.models;
    const models = this.#read();
    this.#cached = { untilMs: performance.now() + CACHE_MS, models };
    // A failure is not remembered: Redis may be back at once.
    models.catch(() => {
      this.#cached = null;
    });
    return models;
  }

  /** By name or alias. @throws QuernError `model_not_found`, saying what there is and what to do. */
  async find(name: string): Promise<KnownModel> {
    const models = await this.list();
    const found = models.find(({ description }) => isNamed(description, name));
    if (found !== undefined) return found;
    const inCatalogue = this.#catalogue.entries.find(
      ({ alias, aliases }) => alias === name || aliases.includes(name),
    );
    const known = inCatalogue && models.find(({ description }) => description.model === inCatalogue.alias);
    if (known !== undefined) return known;
    const served = models.map(({ description }) => description.model).join(", ") || "none yet";
    const cure =
      inCatalogue === undefined
        ? "Use one of them, or start a worker for it"
        : `It is in the catalogue: start a worker for it, as with 'npm start -- --model ${inCatalogue.alias}'`;
    throw new QuernError(
      "model_not_found",
      `no worker serves the model '${name}'. Served: ${served}. ${cure}`,
      {
        param: "model",
      },
    );
  }

  async #read(): Promise<KnownModel[]> {
    const [workers, served] = await Promise.all([listWorkers(this.#redis), listServedModels(this.#redis)]);
    return served.map((description) => ({
      description,
      workers: workers.filter((worker) => worker.description.model === description.model),
    }));
  }
}

function isNamed({ model, aliases }: ModelDescription, name: string): boolean {
  return model === name || aliases.includes(name);
}

/** Whether it is worth while to wait for an answer. An engine that restarts counts: it is back in seconds. */
export function isServed(known: KnownModel): boolean {
  return workerToAsk(known) !== null;
}

/**
 * The worker to ask for something that only its model's vocabulary tells: the least busy; null: none that would answer soon.
 * One whose engine restarts answers too: its preparer does not depend on the engine.
 */
export function workerToAsk({ workers }: KnownModel): WorkerRegistration | null {
  const able = workers.filter(({ state }) => state === "ready" || state === "engine_down");
  return able.toSorted((a, b) => a.busy / a.slots - b.busy / b.slots)[0] ?? null;
}
