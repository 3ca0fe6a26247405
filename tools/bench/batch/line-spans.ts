import { setTimeout as sleep } from "node:timers/promises";
import { lineOfJob } from "@quern/shared/contract/line-job";

/** One line in its slot. Milliseconds of one clock. */
export interface LineSpan {
  slotAtMs: number;
  endedAtMs: number;
  completionTokens: number;
}

export interface SpanMetrics {
  /** From the first line's slot to the last line's end. */
  tokensPerSecond: number;
  tookMs: number;
  /**
   * Slots that had a line, by slots there are, from the first line's slot until the last line got its own: after that
   * nothing is left to fill them with.
   */
  busyShare: number;
}

/** What a worker's log tells of an attempt that ended: one JSON object a line, of which others are not ours. */
interface AttemptLine {
  time?: string;
  job?: string;
  total_ms?: number;
  waited_ms?: number;
  slot_ms?: number;
  completion_tokens?: number;
}

/** A batch is told to be over by one process, and its last line by another. */
const LOG_PATIENCE_MS = 5_000;
const LOOK_INTERVAL_MS = 50;

/** All lines of a batch that has ended. @throws when the worker's log does not come to tell of every one. */
export async function spansOf(workerLog: () => string, batchId: string, lines: number): Promise<LineSpan[]> {
  const giveUpAtMs = performance.now() + LOG_PATIENCE_MS;
  for (;;) {
    const spans = readSpans(workerLog(), batchId);
    if (spans.length === lines) return spans;
    if (performance.now() > giveUpAtMs) {
      throw new Error(`the worker's log tells of ${spans.length} of ${lines} lines`);
    }
    await sleep(LOOK_INTERVAL_MS);
  }
}

/** The attempts at a batch's lines that came to an end, out of the worker's log, to within the milliseconds that it is written in. */
export function readSpans(workerLog: string, batchId: string): LineSpan[] {
  return workerLog
    .split("\n")
    .filter((text) => text.startsWith("{") && text.includes(batchId))
    .map((text) => JSON.parse(text) as AttemptLine)
    .filter(({ job, slot_ms }) => slot_ms !== undefined && lineOfJob(job ?? "")?.batchId === batchId)
    .map(({ time, total_ms = 0, waited_ms = 0, slot_ms = 0, completion_tokens = 0 }) => {
      const slotAtMs = Date.parse(time ?? "") - total_ms + waited_ms;
      return { slotAtMs, endedAtMs: slotAtMs + slot_ms, completionTokens: completion_tokens };
    });
}

export function spanMetrics(spans: readonly LineSpan[], slots: number): SpanMetrics {
  const began = spans.map(({ slotAtMs }) => slotAtMs).sort((a, b) => a - b);
  const firstMs = began[0] as number;
  const lastMs = began.at(-1) as number;
  let endMs = firstMs;
  let tokens = 0;
  let busyMs = 0;
  for (const { slotAtMs, endedAtMs, completionTokens } of spans) {
    endMs = Math.max(endMs, endedAtMs);
    tokens += completionTokens;
    busyMs += Math.min(endedAtMs, lastMs) - slotAtMs;
  }
  const tookMs = endMs - firstMs;
  return {
    tokensPerSecond: (tokens / tookMs) * 1_000,
    tookMs,
    busyShare: lastMs === firstMs ? 1 : busyMs / (slots * (lastMs - firstMs)),
  };
}
