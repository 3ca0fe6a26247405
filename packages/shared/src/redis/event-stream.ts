import type { Redis } from "ioredis";
import { z } from "zod";
import { eventsKey } from "../contract/names.ts";
import { type NumberedTokenEvent, tokenEventSchema } from "../contract/token-event.ts";

/** The events after `afterId` (exclusive), or all of them. */
export async function readEvents(
  redis: Redis,
  jobId: string,
  afterId: string | null,
): Promise<NumberedTokenEvent[]> {
  return numbered(await redis.xrange(eventsKey(jobId), firstAfter(afterId), "+"));
}

/** The next `maxEvents` of them; fewer when there are no more. */
export async function readEventsPage(
  redis: Redis,
  jobId: string,
  afterId: string | null,
  maxEvents: number,
): Promise<NumberedTokenEvent[]> {
  return numbered(await redis.xrange(eventsKey(jobId), firstAfter(afterId), "+", "COUNT", maxEvents));
}

function firstAfter(afterId: string | null): string {
  return afterId === null ? "-" : `(${afterId}`;
}

function numbered(entries: [id: string, fields: string[]][]): NumberedTokenEvent[] {
  return entries.map(([id, [, type, , data]]) => ({
    id,
    event: tokenEventSchema.parse({ type, data: JSON.parse(data ?? "null") }),
  }));
}

const announcementSchema = z.object({ id: z.string(), type: z.string(), data: z.unknown() });

/** The Pub/Sub message that announces one event (`append_events.lua` and its siblings write it). */
export function parseAnnouncement(message: string): NumberedTokenEvent {
  const { id, type, data } = announcementSchema.parse(JSON.parse(message));
  return { id, event: tokenEventSchema.parse({ type, data }) };
}
