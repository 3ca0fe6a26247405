import type { JobClass } from "@quern/shared/contract/job";
import { queuePrefix } from "@quern/shared/contract/names";
import type { Redis } from "ioredis";

/** Jobs further back than this have no position: Redis answers nobody else while it looks for one. */
const MAX_POSITION = 20_000;

/** The queues of one model, as of about one moment. */
export interface QueueLengths {
  waiting: Record<JobClass, number>;
  /** Leased by workers. */
  active: Record<JobClass, number>;
  /** Of each job that was asked for, in that order: 1 is the next of its own class. `beyond`: further back than is looked for. */
  places: (number | "beyond" | "not_waiting")[];
}

/**
 * One round trip, however many jobs wait: lengths are counters, and places are looked for from the front, where they
 * are needed most. No transaction: a Redis whose memory is full refuses those that only read, too. BullMQ pushes on the left of its lists and takes from the right.
 */
export async function readQueueLengths(
  redis: Redis,
  model: string,
  jobs: readonly { id: string; class: JobClass }[],
): Promise<QueueLengths> {
  const key = (jobClass: JobClass, list: "wait" | "active") => `${queuePrefix(model)}:${jobClass}:${list}`;
  const commands = redis
    .pipeline()
    .llen(key("interactive", "wait"))
    .llen(key("batch", "wait"))
    .llen(key("interactive", "active"))
    .llen(key("batch", "active"));
  for (const job of jobs) commands.lpos(key(job.class, "wait"), job.id, "RANK", -1, "MAXLEN", MAX_POSITION);
  const replies = ((await commands.exec()) ?? []).map(([error, reply]) => {
    if (error) throw error;
    return reply as number | null;
  });
  const [interactiveWaiting, batchWaiting, interactiveActive, batchActive, ...indexes] = replies;
  const waiting = { interactive: interactiveWaiting ?? 0, batch: batchWaiting ?? 0 };
  return {
    waiting,
    active: { interactive: interactiveActive ?? 0, batch: batchActive ?? 0 },
    places: indexes.map((index, at) => {
      const length = waiting[jobs[at]?.class ?? "interactive"];
      if (index !== null) return length - index;
      return length > MAX_POSITION ? "beyond" : "not_waiting";
    }),
  };
}
