import { lineOfJob } from "../contract/line-job.ts";
import {
  batchKey,
  endedLinesKey,
  eventsKey,
  jobKey,
  linePositionsKey,
  lineRetriesKey,
  lineTriesKey,
  liveLinesKey,
  outboxKey,
} from "../contract/names.ts";

/** What a command that ends a job works on: its record and events, and of a batch's line all that the line's end is written to. */
export function keysOfEnd(jobId: string): string[] {
  const own = [jobKey(jobId), eventsKey(jobId)];
  const line = lineOfJob(jobId);
  if (line === null) return own;
  const { batchId } = line;
  return [
    ...own,
    batchKey(batchId),
    endedLinesKey(batchId),
    liveLinesKey(batchId),
    outboxKey(batchId),
    lineRetriesKey(batchId),
    lineTriesKey(batchId),
    linePositionsKey(batchId),
  ];
}
