import { quantile } from "../figures/statistics.ts";

/** Of the interactive jobs of one phase; milliseconds from the moment when a job was queued. */
export interface WaitMetrics {
  waitP50Ms: number | null;
  waitP99Ms: number | null;
  ttftP50Ms: number | null;
  ttftP99Ms: number | null;
}

/** What a worker's log tells of a job that ended: one JSON object a line, of which others are not ours. */
interface AttemptLine {
  job?: string;
  waited_ms?: number;
  ttft_ms?: number | null;
}

export function waitMetrics(workerLog: string, jobIds: readonly string[]): WaitMetrics {
  const wanted = new Set(jobIds);
  const lines = workerLog
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as AttemptLine)
    .filter(({ job, waited_ms }) => job !== undefined && wanted.has(job) && waited_ms !== undefined);
  if (lines.length !== wanted.size) {
    throw new Error(`the worker's log tells of ${lines.length} of ${wanted.size} jobs`);
  }
  const waits = lines.flatMap(({ waited_ms }) => waited_ms ?? []);
  const ttfts = lines.flatMap(({ ttft_ms }) => ttft_ms ?? []);
  return {
    waitP50Ms: quantile(waits, 0.5),
    waitP99Ms: quantile(waits, 0.99),
    ttftP50Ms: quantile(ttfts, 0.5),
    ttftP99Ms: quantile(ttfts, 0.99),
  };
}
