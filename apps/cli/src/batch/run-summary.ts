import { z } from "zod";
import type { Comparison } from "./answers/compare-answers.ts";
import { readResultLines } from "./answers/result-line.ts";
import { type Batch, secondsOf } from "./batch-object.ts";
import { formatCount, formatDuration } from "./format-progress.ts";
import type { RunFiles } from "./run-files.ts";

export interface RunResult {
  total: number;
  answered: number;
  /** Those that ended in this run. */
  batches: readonly Batch[];
  comparison: (Comparison & { column: string }) | null;
}

/** What the person reads when a run has come to its end. */
export async function runSummary(result: RunResult, { output, errors }: RunFiles): Promise<string[]> {
  const { total, answered, batches, comparison } = result;
  const missing = total - answered;
  const seconds = batches.reduce((sum, batch) => sum + (secondsOf(batch) ?? 0), 0);
  const lines = [
    `${formatCount(answered)} of ${formatCount(total)} requests are answered${batches.length === 0 ? "" : `; it took ${formatDuration(seconds)}`}.`,
    ...batches
      .filter(({ status }) => status !== "completed")
      .map(({ id, status }) => `Batch ${id} was ${status}.`),
    ...tokenLine(batches),
  ];
  if (answered > 0) lines.push(`Answers: ${output}`);
  if (missing > 0) {
    const reasons = await errorCounts(errors);
    lines.push(
      `Without an answer: ${formatCount(missing)}${reasons === "" ? "" : ` (${reasons}), see ${errors}`}. The same command again tries them once more.`,
    );
  }
  if (comparison !== null) lines.push(comparisonLine(comparison));
  return lines;
}

export function tokenLine(batches: readonly Pick<Batch, "usage">[]): string[] {
  const used = batches.flatMap(({ usage }) => (usage == null ? [] : [usage]));
  if (used.length === 0) return [];
  const sum = (count: (usage: (typeof used)[number]) => number) =>
    formatCount(used.reduce((total, usage) => total + count(usage), 0));
  const cached = sum((usage) => usage.input_tokens_details.cached_tokens);
  return [
    `Tokens: ${sum((usage) => usage.input_tokens)} in (${cached} cached), ${sum((usage) => usage.output_tokens)} out.`,
  ];
}

function comparisonLine({ column, answered, equal }: NonNullable<RunResult["comparison"]>): string {
  const share = answered === 0 ? "" : ` (${((equal / answered) * 100).toFixed(1)}%)`;
  return `Equal to the column '${column}': ${formatCount(equal)} of ${formatCount(answered)} answers${share}.`;
}

const errorSchema = z.object({ code: z.string() });

/** `2 × context_length_exceeded, 1 × engine_crashed`; empty: there are none. */
async function errorCounts(path: string): Promise<string> {
  const counts = new Map<string, number>();
  for await (const { result } of readResultLines(path)) {
    const body = z.object({ error: errorSchema }).safeParse(result.response?.body);
    const code = errorSchema.safeParse(result.error).data?.code ?? body.data?.error.code ?? "unknown";
    counts.set(code, (counts.get(code) ?? 0) + 1);
  }
  return [...counts]
    .sort(([, left], [, right]) => right - left)
    .map(([code, count]) => `${formatCount(count)} × ${code}`)
    .join(", ");
}
