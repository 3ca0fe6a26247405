import { QuernError } from "@quern/shared/contract/errors";
import { isTerminal } from "@quern/shared/contract/lifecycle";
import type { NumberedTokenEvent, TokenEvent } from "@quern/shared/contract/token-event";
import { toChatUsage } from "@quern/shared/openai/chat-response";
import { readEventsPage } from "@quern/shared/redis/event-stream";
import type { Request, RequestHandler } from "express";
import { authenticate } from "../auth/authenticate.ts";
import { eventsExpired, followPages } from "../follow/follow-events.ts";
import { clientGone } from "../http/client-gone.ts";
import { SseWriter, sseFrame } from "../http/sse-writer.ts";
import { findJob } from "./find-job.ts";
import type { RouteContext } from "./route.ts";

const RECONNECT_AFTER_MS = 1_000;
const EVENT_ID = /^\d+-\d+$/;

/**
 * `GET /v1/jobs/{id}/events`: the job's token events as server-sent events, from the beginning or after
 * `Last-Event-ID`, live or afterwards. The stream ends with `end`; one that breaks off before can be taken up again.
 * Who has seen the `end` gets 204, and 410 who comes when the events are no longer kept.
 */
export function jobEventsRoute({
  redis,
  hub,
  draining,
}: Pick<RouteContext, "redis" | "hub" | "draining">): RequestHandler<{ id: string }> {
  return async (request, response) => {
    const { id, state } = await findJob(redis, authenticate(request), request.params.id);
    response.locals.jobId = id;
    const afterId = lastEventIdOf(request);
    if (isTerminal(state) && (await readEventsPage(redis, id, afterId, 1)).length === 0) {
      if ((await readEventsPage(redis, id, null, 1)).length === 0) throw eventsExpired(id);
      // Browsers reconnect whenever a stream ends, this one too; No Content tells them that there is no more.
      response.status(204).end();
      return;
    }
    // Its reader comes back to another gateway, after the event that it saw last.
    const stop = AbortSignal.any([clientGone(response), draining]);
    using writer = new SseWriter(response, stop);
    await writer.retry(RECONNECT_AFTER_MS);
    for await (const page of followPages(hub, redis, id, afterId, stop)) {
      await writer.frames(page.values().map(frameOf));
    }
    writer.end();
  };
}

/** Browsers send the header by themselves; `?after=` is for those who can't set one. */
function lastEventIdOf(request: Request<{ id: string }>): string | null {
  const given = request.header("last-event-id") ?? request.query.after;
  if (given === undefined || given === "") return null;
  if (typeof given === "string" && EVENT_ID.test(given)) return given;
  throw new QuernError(
    "invalid_request",
    "Last-Event-ID must be the id of an event of this job, such as 1-5",
    {
      param: "last-event-id",
    },
  );
}

/** Written once for all readers of one event; gone when the event is. */
const frames = new WeakMap<NumberedTokenEvent, Buffer>();

function frameOf(numbered: NumberedTokenEvent): Buffer {
  const written = frames.get(numbered);
  if (written !== undefined) return written;
  const { id, event } = numbered;
  const frame = sseFrame({ event: event.type, id, data: JSON.stringify(dataOf(event)) });
  frames.set(numbered, frame);
  return frame;
}

function dataOf(event: TokenEvent): object {
  if (event.type === "delta") {
    const { progress: _, ...delta } = event.data;
    return delta;
  }
  if (event.type !== "end") return event.data;
  const { usage, ...end } = event.data;
  return { ...end, usage: usage === null ? null : toChatUsage(usage) };
}
