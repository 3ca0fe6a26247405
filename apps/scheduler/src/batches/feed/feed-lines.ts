import { lineJobId } from "@quern/shared/contract/line-job";
import { endLines, type FedLine, feedLines } from "@quern/shared/redis/batch-lines";
import type { Redis } from "ioredis";
import type { JobReferences } from "../../queue/job-references.ts";
import type { BatchFeed } from "./batch-feed.ts";
import type { ChosenLine } from "./choose-lines.ts";

/** What one script may write: Redis answers nobody else meanwhile. */
const CHUNK_LINES = 100;
const CHUNK_BYTES = 2 ** 20;

/**
 * Makes jobs of lines and puts references to them into the model's queue, in the order in which they were chosen; ends those
 * that can't be jobs. Broken off anywhere it may be done again: a line that is a job stays one, one that has ended is passed over.
 */
export async function feedChosen(
  { redis, references }: { redis: Redis; references: JobReferences },
  model: string,
  chosen: readonly ChosenLine[],
): Promise<void> {
  const byFeed = Map.groupBy(chosen, ({ feed }) => feed);
  const fed = await Promise.all(Array.from(byFeed, ([feed, lines]) => feedOf(redis, feed, lines)));
  const wanted = new Set(fed.flat());
  const ids = chosen.flatMap(({ feed, request }) =>
    request.kind === "job" ? lineJobId({ batchId: feed.batch.id, index: request.line.index }) : [],
  );
  await references.putAll(
    { model, class: "batch" },
    ids.filter((id) => wanted.has(id)),
  );
  await Promise.all(Array.from(byFeed.keys(), (feed) => feed.settle()));
}

/** @returns the ids of those that want a reference. */
async function feedOf(redis: Redis, feed: BatchFeed, chosen: readonly ChosenLine[]): Promise<string[]> {
  const batchId = feed.batch.id;
  const wanted: string[] = [];
  for (const lines of inChunks(
    chosen.flatMap(({ request }) => (request.kind === "job" ? request.line : [])),
  )) {
    const ids = await feedLines(redis, batchId, lines);
    if (ids === null) {
      feed.stop();
      return wanted;
    }
    const tokens = sum(lines.map(({ job }) => job.line.estimatedTokens));
    feed.countFed(ids.length, sum(lines.map(({ bytes }) => bytes)), tokens);
    wanted.push(...ids);
  }
  const refused = chosen.flatMap(({ request }) => (request.kind === "refused" ? request.line : []));
  for (let at = 0; at < refused.length; at += CHUNK_LINES) {
    const { ended } = await endLines(
      redis,
      batchId,
      "failed",
      refused.slice(at, at + CHUNK_LINES),
      Date.now(),
    );
    feed.countRefused(ended);
  }
  return wanted;
}

function* inChunks(lines: readonly FedLine[]): Generator<FedLine[], void, undefined> {
  let chunk: FedLine[] = [];
  let bytes = 0;
  for (const line of lines) {
    if (chunk.length === CHUNK_LINES || (chunk.length > 0 && bytes + line.bytes > CHUNK_BYTES)) {
      yield chunk;
      [chunk, bytes] = [[], 0];
    }
    chunk.push(line);
    bytes += line.bytes;
  }
  if (chunk.length > 0) yield chunk;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
