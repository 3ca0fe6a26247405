import { type JobClass, QUEUE_NAMES, type QueueName } from "@quern/shared/contract/job";
import { queuePrefix } from "@quern/shared/contract/names";
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
    const places = Object.values(await this.#look(job));
    if (places.includes("leased")) return "leased";
    return places.includes("unleased") ? "unleased" : "none";
  }

  /** Puts a reference into the queue of the job's class, in place of finished ones. One that is there stays. */
  async put(job: ReferencedJob): Promise<void> {
    for (const [name, place] of Object.entries(await this.#look(job))) {
      if (place === "leased" || place === "unleased") return;
      if (place === "finished") await this.#queue(job.model, name as QueueName).remove(job.id);
    }
    await this.#queue(job.model, job.class).add("generate", { jobId: job.id }, { jobId: job.id });
  }

  /** Best effort: a reference that stays finds its job ended, and is dropped then. */
  async remove(job: ReferencedJob): Promise<void> {
    await this.#queue(job.model, job.class).remove(job.id).catch(this.#onError);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#queues.values()].map((queue) => queue.close().catch(this.#onError)));
  }

  /** All of a model's queues at one moment: a job that changes its queue is in one of them. */
  async #look({ id, model }: ReferencedJob): Promise<Record<QueueName, Place>> {
    const look = this.#redis.multi();
    for (const name of QUEUE_NAMES) {
      const key = `${queuePrefix(model)}:${name}:${id}`;
      look.hmget(key, "name", "finishedOn").exists(`${key}:lock`);
    }
    const values = ((await look.exec()) ?? []).map(([error, reply]) => {
      if (error) throw error;
      return reply;
    });
    const placeAt = (at: number) => placeOf(values[2 * at] as (string | null)[], values[2 * at + 1] === 1);
    return { interactive: placeAt(0), batch: placeAt(1), suspects: placeAt(2) };
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

type Place = "missing" | "finished" | "unleased" | "leased";

function placeOf([name, finishedOn]: (string | null)[], locked: boolean): Place {
  if (name == null) return "missing";
  if (finishedOn != null) return "finished";
  return locked ? "leased" : "unleased";
}
