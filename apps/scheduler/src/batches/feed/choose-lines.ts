import type { BatchFeed } from "./batch-feed.ts";
import type { DeficitRoundRobin } from "./deficit-round-robin.ts";
import { type LineRequest, toLineRequest } from "./line-request.ts";
import type { ServedModel } from "./served-models.ts";

/** What a line that can't be a job counts for: looking at it takes time as well. */
const REFUSED_TOKENS = 16;

/** What may be fed; the last line may be larger than what is left of `bytes`. */
export interface Room {
  lines: number;
  bytes: number;
  /** Lines that are looked at, those that can't be jobs included. */
  looks: number;
}

export function isRoom({ lines, bytes, looks }: Room): boolean {
  return lines > 0 && bytes > 0 && looks > 0;
}

/** A line whose turn it is. */
export interface ChosenLine {
  feed: BatchFeed;
  request: LineRequest;
}

/**
 * Whose lines are next, in their order; `room` gets smaller by them. Nothing is awaited in here, so nobody comes or goes meanwhile. It ends
 * as soon as a tenant has no line in hand: whether it has more is not known before the next block is read.
 *
 * @param heads of each tenant the batch with its next line in hand.
 * @param creditOf as for `DeficitRoundRobin.next`.
 */
export function chooseLines(
  heads: ReadonlyMap<string, BatchFeed>,
  room: Room,
  turns: DeficitRoundRobin,
  model: ServedModel,
  creditOf: (tenant: string) => number,
): ChosenLine[] {
  const chosen: ChosenLine[] = [];
  const waiting = new Set(heads.keys());
  const nowMs = Date.now();
  while (isRoom(room)) {
    // 1. Whose turn it is.
    const tenant = turns.next(waiting, creditOf);
    const feed = tenant === null ? undefined : heads.get(tenant);
    if (tenant === null || feed === undefined) break;
    // 2. Its next line, as a job or as what it is refused for.
    const { line, copies } = feed.take();
    const request = toLineRequest(feed.batch, line, copies, model, nowMs);
    chosen.push({ feed, request });
    // 3. What that takes.
    room.looks -= 1;
    if (request.kind === "job") {
      room.lines -= 1;
      room.bytes -= line.bytes;
      turns.charge(tenant, request.line.job.line.estimatedTokens);
    } else turns.charge(tenant, REFUSED_TOKENS);
    if (!feed.hasLine) break;
  }
  return chosen;
}
