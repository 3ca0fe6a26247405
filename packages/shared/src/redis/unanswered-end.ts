import type { Redis } from "ioredis";
import { ZodError } from "zod";
import { eventsKey, jobKey } from "../contract/names.ts";
import { partialAnswer } from "../contract/partial-answer.ts";
import { readEvents } from "./event-stream.ts";

/** What a command that ends a queued job is told of its answer: the number of the last event read, usage, result. */
type AnswerArgs = [lastSeq: number, usage: string, result: string];

/** The answer of a job that has published nothing, as most that end in their queue. */
const NO_ANSWER: AnswerArgs = [0, "", ""];

/**
 * Ends a job that no worker runs with the answer that its stream tells. `end` replies `unread`, or a list with it, and
 * changes nothing when the stream has other events than those read; no event is added while a job is queued, so the second
 * try ends it unless another attempt ran between.
 */
export async function endUnanswered(
  redis: Redis,
  jobId: string,
  end: (answer: AnswerArgs) => Promise<unknown>,
): Promise<unknown> {
  for (let answer = NO_ANSWER; ; answer = await readAnswer(redis, jobId)) {
    const reply = await end(answer);
    const [kind] = Array.isArray(reply) ? reply : [reply];
    if (kind !== "unread") return reply;
  }
}

async function readAnswer(redis: Redis, jobId: string): Promise<AnswerArgs> {
  const [slots, lastSeq, events] = await Promise.all([
    redis.hget(jobKey(jobId), "slots"),
    readLastSeq(redis, jobId),
    readEvents(redis, jobId, null).catch(noneWhenUnreadable),
  ]);
  const published = events.map(({ event }) => event);
  const { usage, result } = partialAnswer(published, Number(slots ?? 1));
  return [
    lastSeq,
    usage === null ? "" : JSON.stringify(usage),
    result === null ? "" : JSON.stringify(result),
  ];
}

/** Events that another version wrote must not keep the job from ending. */
function noneWhenUnreadable(error: unknown): [] {
  if (error instanceof ZodError || error instanceof SyntaxError) return [];
  throw error;
}

/** 0: the stream is empty. */
async function readLastSeq(redis: Redis, jobId: string): Promise<number> {
  const [last] = await redis.xrevrange(eventsKey(jobId), "+", "-", "COUNT", 1);
  return Number(last?.[0].split("-")[1] ?? 0);
}
