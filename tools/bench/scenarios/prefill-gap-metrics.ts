import type { GenerationTrace, RoundTrace } from "../engine/workload.ts";
import { highest, median } from "../figures/statistics.ts";
import { gapsMs } from "./round-metrics.ts";

/** What running streams noticed of a long prompt, in one round. null: it didn't happen, or can't be told. */
export interface PrefillGapMetrics {
  /** Between two tokens of a stream before the prompt came: the median. */
  stepMs: number | null;
  /** Between two tokens of a stream while the prompt was computed: the median. */
  stepDuringPrefillMs: number | null;
  /** Between two tokens of a stream while the prompt was computed: the longest. */
  longestGapMs: number | null;
  /** A step that computes a part of the prompt: the median. */
  chunkMs: number | null;
  /** From the long prompt's arrival to its first token. */
  lateTtftMs: number;
}

/** @throws when the round had no late request. */
export function prefillGapMetrics(trace: RoundTrace): PrefillGapMetrics {
  const { generations, late } = trace;
  const lateFirstAtMs = late?.tokenAtMs[0];
  if (late === null || lateFirstAtMs === undefined)
    throw new Error("a round without a long prompt has no gap");
  const before = generations.flatMap((stream) =>
    gapsMs({ tokenAtMs: stream.tokenAtMs.filter((atMs) => atMs <= late.sentAtMs) }),
  );
  const during = generations.flatMap((stream) => gapsOverlapping(stream, late.sentAtMs, lateFirstAtMs));
  const chunks = trace.steps?.filter(
    ({ prefillTokens, startedAtMs }) => prefillTokens > 0 && startedAtMs >= late.sentAtMs,
  );
  return {
    stepMs: median(before),
    stepDuringPrefillMs: median(during),
    longestGapMs: highest(during),
    chunkMs: median(chunks?.map(({ startedAtMs, endedAtMs }) => endedAtMs - startedAtMs) ?? []),
    lateTtftMs: lateFirstAtMs - late.sentAtMs,
  };
}

/** Also those that begin before or end after: most of a long gap may lie there. */
function gapsOverlapping({ tokenAtMs }: GenerationTrace, fromMs: number, toMs: number): number[] {
  return gapsMs({ tokenAtMs }).filter((_, index) => {
    const [beginsAtMs, endsAtMs] = [tokenAtMs[index] as number, tokenAtMs[index + 1] as number];
    return endsAtMs > fromMs && beginsAtMs < toMs;
  });
}
