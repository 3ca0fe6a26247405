import { QuernError } from "@quern/shared/contract/errors";
import { type ResponseEvent, ResponseEvents } from "@quern/shared/openai/responses-events";
import type { ResponseEnd, ResponseHead } from "@quern/shared/openai/responses-response";
import { readJob } from "@quern/shared/redis/job-store";
import type { Response } from "express";
import { followEvents } from "../follow/follow-events.ts";
import { toQuernError } from "../http/error-reply.ts";
import { SseWriter } from "../http/sse-writer.ts";
import type { RouteContext } from "./route.ts";

/** Of a job that somebody has erased meanwhile. */
const ERASED: ResponseEnd = { state: "cancelled", endedAtMs: null, result: null, usage: null, error: null };

export interface ResponseReader {
  /** The number of the last event it has seen; null: it begins. */
  startingAfter: number | null;
  /** Aborts when it hangs up. */
  gone: AbortSignal;
  /** Aborts when this gateway does. */
  leaving: AbortSignal;
}

/**
 * The events of a response from `startingAfter` on, live or afterwards, up to the one that ends it. Where this gateway can't tell
 * it to the end an `error` says so, under the number of the event before it: a reader goes on after that.
 */
export async function streamResponse(
  { redis, hub }: Pick<RouteContext, "redis" | "hub">,
  job: ResponseHead,
  { startingAfter, gone, leaving }: ResponseReader,
  response: Response,
): Promise<void> {
  using writer = new SseWriter(response, gone);
  const events = new ResponseEvents(job);
  const write = async (made: readonly ResponseEvent[]) => {
    for (const event of made) {
      if (startingAfter !== null && event.sequence_number <= startingAfter) continue;
      await writer.event({ event: event.type, data: JSON.stringify(event) });
    }
  };
  try {
    await write(events.opening());
    let ended = false;
    for await (const { event } of followEvents(hub, redis, job.id, null, AbortSignal.any([gone, leaving]))) {
      ended = event.type === "end";
      if (event.type !== "end") await write(events.next(event));
      else await write(events.end((await readJob(redis, job.id)) ?? ERASED));
    }
    if (!ended) throw goingAway();
  } catch (thrown) {
    const { code, message, param } = toQuernError(thrown);
    const error = { type: "error", sequence_number: events.lastNumber, code, message, param };
    await writer.event({ event: "error", data: JSON.stringify(error) });
  }
  writer.end();
}

function goingAway(): QuernError {
  return new QuernError(
    "draining",
    "this gateway is going away while the response is written on: go on reading it with GET /v1/responses/{id}?stream=true&starting_after=…",
  );
}
