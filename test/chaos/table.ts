import type { Verdict } from "./check/check-all.ts";
import type { Takeovers } from "./takeovers.ts";

export interface RunFigures {
  accepted: number;
  refused: number;
  /** Of the batches beside the jobs. */
  lines: number;
  reconnects: number;
  cutStreams: number;
  verdict: Verdict;
  faults: Map<string, number>;
  takeovers: Takeovers;
}

/** What a run came to, for people. */
export function table({
  accepted,
  refused,
  lines: batchLines,
  reconnects,
  cutStreams,
  verdict,
  faults,
  takeovers,
}: RunFigures): string {
  const { byState, takenOver, restarts, violations } = verdict;
  const count = (kind: string) =>
    new Set(violations.filter((found) => found.kind === kind).map(({ jobId }) => jobId)).size;
  const live = (byState.queued ?? 0) + (byState.running ?? 0);
  const rows: [string, number | string][] = [
    ["accepted", accepted],
    ...["completed", "failed", "cancelled", "expired"].map((state): [string, number] => [
      state,
      byState[state] ?? 0,
    ]),
    ["live", live],
    ["lost", count("lost")],
    ["twice", count("twice")],
    ["wrong", count("wrong")],
    ["lines of batches", batchLines],
    ["submissions refused or unanswered", refused],
    ["streams taken up again", reconnects],
    ["chat streams that broke off", cutStreams],
    ["jobs with more than one attempt", takenOver],
    ["restarts seen", restarts],
  ];
  const lines = rows.map(([name, value]) => `${name.padEnd(36)} ${String(value).padStart(7)}`);
  const head = `${"fault".padEnd(20)} ${"times".padStart(5)} ${"taken over".padStart(10)} ${"p50 ms".padStart(7)} ${"p99 ms".padStart(7)}`;
  const broken = [...faults].sort().map(([name, times]) => {
    const waits = takeovers.get(name) ?? [];
    const cells = [String(waits.length).padStart(10), figure(waits, 0.5), figure(waits, 0.99)].join(" ");
    return `${name.padEnd(20)} ${String(times).padStart(5)} ${cells}`;
  });
  return [...lines, "", head, ...broken].join("\n");
}

function figure(values: number[], share: number): string {
  return (values.length === 0 ? "-" : String(Math.round(percentile(values, share)))).padStart(7);
}

/** The smallest value that so many of them don't exceed (nearest rank). */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}
