import type { Redis } from "ioredis";
import { endedLinesKey, linePositionsKey, lineRetriesKey, liveLinesKey } from "../contract/names.ts";

/** `put_off`: it failed in passing and waits for its next try. `waiting`: none of the others. */
export type LineState = "waiting" | "live" | "put_off" | "ended";

/**
 * Of `count` lines from `first` on, in their order; three commands, however many lines there are. Commands of others may come in between: a line
 * that moves meanwhile is seen in one of the states that it had.
 */
export async function readLineStates(
  redis: Redis,
  batchId: string,
  first: number,
  count: number,
): Promise<LineState[]> {
  if (count === 0) return [];
  const indexes = Array.from({ length: count }, (_, at) => first + at);
  const firstByte = first >> 3;
  const replies = await redis
    .pipeline()
    .zmscore(lineRetriesKey(batchId), indexes)
    .zmscore(liveLinesKey(batchId), indexes)
    .getrangeBuffer(endedLinesKey(batchId), firstByte, (first + count - 1) >> 3)
    .exec();
  const [putOff, live, ended] = (replies ?? []).map(([error, reply]) => {
    if (error) throw error;
    return reply;
  }) as [(string | null)[], (string | null)[], Buffer];
  return indexes.map((index, at) => {
    // SETBIT counts bits from the highest of each byte.
    const byte = ended[(index >> 3) - firstByte] ?? 0;
    if ((byte >> (7 - (index & 7))) & 1) return "ended";
    if (live[at] !== null) return "live";
    return putOff[at] === null ? "waiting" : "put_off";
  });
}

/** Where a line stands in the input, in bytes. */
export interface LinePosition {
  index: number;
  offset: number;
  bytes: number;
}

/** Of lines that are jobs or put off; those of which nothing is known are left out. */
export async function readLinePositions(
  redis: Redis,
  batchId: string,
  indexes: number[],
): Promise<LinePosition[]> {
  if (indexes.length === 0) return [];
  const positions = await redis.hmget(linePositionsKey(batchId), ...indexes.map(String));
  return positions.flatMap((position, at) => {
    if (position === null) return [];
    const [offset = 0, bytes = 0] = position.split(" ").map(Number);
    return [{ index: indexes[at] as number, offset, bytes }];
  });
}

/** Lines that were put off are not fed again by that: who looks through the input finds them. */
export async function dropRetries(redis: Redis, batchId: string, indexes: number[]): Promise<void> {
  if (indexes.length > 0) await redis.zrem(lineRetriesKey(batchId), ...indexes);
}
