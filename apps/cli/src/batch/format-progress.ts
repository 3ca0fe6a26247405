import type { Batch, BatchProgress } from "./batch-object.ts";

/** 1234567 → `1,234,567`. */
export function formatCount(count: number): string {
  return count.toLocaleString("en-US");
}

export function formatRate(perSecond: number): string {
  return perSecond >= 100 ? formatCount(Math.round(perSecond)) : perSecond.toFixed(1);
}

/** In the largest unit that tells something: `45 s`, `12 min`, `3.5 h`. */
export function formatDuration(seconds: number): string {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  return seconds < 90 * 60 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3_600).toFixed(1)} h`;
}

/** `3 min to 5 min left`: half of such batches take the first, nine of ten at most the second; empty where nobody knows. */
export function timeLeft({ progress }: Pick<BatchProgress, "progress">, nowMs: number): string {
  const end = progress?.estimated_end_at ?? null;
  if (end === null) return "";
  const [p50, p90] = [end.p50, end.p90].map((at) => formatDuration(Math.max(at - nowMs / 1_000, 0)));
  return p50 === p90 ? `${p50} left` : `${p50} to ${p90} left`;
}

/** How fast, and until when; empty while nothing is known. */
export function paceText(shown: Pick<BatchProgress, "progress">, nowMs: number): string {
  const { progress } = shown;
  if (progress == null) return "";
  const parts = [
    `${formatRate(progress.lines_per_second)} lines/s`,
    `${formatRate(progress.output_tokens_per_second)} tok/s`,
    timeLeft(shown, nowMs),
  ];
  return parts.filter((part) => part !== "").join(", ");
}

/** OpenAI has no status for a batch that is paused, or that waits for a model. */
export function statusText({
  status,
  paused_at,
  awaited_model,
}: Pick<Batch, "status" | "paused_at" | "awaited_model">): string {
  if (status === "validating" && awaited_model != null) return `waiting for a worker of ${awaited_model}`;
  return paused_at != null && status === "in_progress" ? "paused" : status;
}
