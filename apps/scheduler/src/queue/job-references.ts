import { type JobClass, QUEUE_NAMES, type QueueName } from "@quern/shared/contract/job";
import { queuePrefix } from "@quern/shared/contract/names";
import { loadScript, runScript } from "@quern/shared/redis/script";
import { Queue } from "bullmq";
import type { Redis } from "ioredis";

/** A job as its queues know it. */
export interface ReferencedJob {
  id: string;
  model: string;
  class: JobClass;
}

/**
 * `leased`: a worker has it. `unleased`: it waits, or its lease lapsed, and BullMQ's own look finds it. `none`: it is
 * nowhere, or BullMQ keeps it as done or failed, which swallows a new reference of the same id.
 */
export type ReferenceState = "leased" | "unleased" | "none";

const FIND = loadScript("find_reference.lua");
/** What the script says of one queue. */
type Place = "missing" | "finished" | "unleased" | "leased";

/** The BullMQ side of jobs, seen from outside: of one job a few reads by key, however long its queue is. */
export class JobReferences {
  readonly #redis: Redis;
  readonly #onError: (error: Error) => void;
  readonly #queues = new Map<string, Queue>();

  constructor(redis: Redis, onError: (error: Error) => void) {
    this.#redis = redis;
    this.#onError = onError;
  }

  async find(job: ReferencedJob): Promise<ReferenceState> {
    const places = await this.#look(job);
    if (places.includes("leased")) return "leased";
    return places.includes("unleased") ? "unleased" : "none";
  }

  /** Puts a reference into the queue of the job's class, in place of finished ones. One that is there stays. */
  async put(job: ReferencedJob): Promise<void> {
    const places = await this.#look(job);
    if (places.includes("leased") || places.includes("unleased")) return;
    for (const [at, name] of QUEUE_NAMES.entries()) {
      if (places[at] === "finished") await this.#queue(job.model, name).remove(job.id);
    }
    await this.#queue(job.model, job.class).add("generate", { jobId: job.id }, { jobId: job.id });
  }

  /** Puts references to jobs into the queue of their class, the first in front. Those that are there stay. */
  async putAll({ model, class: name }: Pick<ReferencedJob, "model" | "class">, ids: string[]): Promise<void> {
    if (ids.length === 0) return;
    const jobs = ids.map((jobId) => ({ name: "generate", data: { jobId }, opts: { jobId } }));
    await this.#queue(model, name).addBulk(jobs);
  }

  /** Best effort: a reference that stays finds its job ended, and is dropped then. */
  async remove(job: ReferencedJob): Promise<void> {
    await this.#queue(job.model, job.class).remove(job.id).catch(this.#onError);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#queues.values()].map((queue) => queue.close().catch(this.#onError)));
  }

  /** Of one moment, in the order of `QUEUE_NAMES`. */
  async #look({ id, model }: ReferencedJob): Promise<Place[]> {
    const keys = QUEUE_NAMES.flatMap((name) => {
      const key = `${queuePrefix(model)}:${name}:${id}`;
      return [key, `${key}:lock`];
    });
    return (await runScript(this.#redis, FIND, keys, [])) as Place[];
  }

  #queue(model: string, name: QueueName): Queue {
    const key = `${queuePrefix(model)}:${name}`;
    const open = this.#queues.get(key);
    if (open !== undefined) return open;
    const queue = new Queue(name, { connection: this.#redis, prefix: queuePrefix(model) });
    queue.on("error", this.#onError);
    this.#queues.set(key, queue);
    return queue;
  }
}
