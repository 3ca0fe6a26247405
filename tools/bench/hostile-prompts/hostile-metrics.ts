import { median, quantile } from "../figures/statistics.ts";
import type { HostileReply } from "./hostile-sender.ts";
import { CHAT_TIMEOUT_MS, type ChatSample } from "./small-chat.ts";

/** What the small chats of one phase came to; milliseconds from the request to its first token. */
export interface ChatMetrics {
  requests: number;
  /** Over the chats that were answered or timed out; a time-out counts as its whole time. null: all failed. */
  ttftP50Ms: number | null;
  ttftP99Ms: number | null;
  ttftLongestMs: number | null;
  timedOut: number;
  /** Failed chats by their code. */
  failures: Record<string, number>;
}

/** What the hostile requests of one phase got. */
export interface HostileMetrics {
  requests: number;
  /** By status and code, such as `400 context_length_exceeded`. */
  replies: Record<string, number>;
  tookMedianMs: number | null;
  tookLongestMs: number | null;
}

/** One round of one hostile request. */
export interface HostileRound {
  alone: ChatMetrics;
  beside: ChatMetrics;
  hostile: HostileMetrics;
}

export function chatMetrics(samples: readonly ChatSample[]): ChatMetrics {
  const timesMs = samples.flatMap((sample) => {
    if (sample.outcome === "failed") return [];
    return sample.outcome === "answered" ? [sample.ttftMs] : [CHAT_TIMEOUT_MS];
  });
  return {
    requests: samples.length,
    ttftP50Ms: quantile(timesMs, 0.5),
    ttftP99Ms: quantile(timesMs, 0.99),
    ttftLongestMs: quantile(timesMs, 1),
    timedOut: samples.filter(({ outcome }) => outcome === "timed out").length,
    failures: counted(samples.flatMap((sample) => (sample.outcome === "failed" ? [sample.code] : []))),
  };
}

export function hostileMetrics(replies: readonly HostileReply[]): HostileMetrics {
  const tookMs = replies.map((reply) => reply.tookMs);
  return {
    requests: replies.length,
    replies: counted(
      replies.map(({ status, code }) => [status, code].filter((part) => part !== null).join(" ")),
    ),
    tookMedianMs: median(tookMs),
    tookLongestMs: quantile(tookMs, 1),
  };
}

/** By how much the p99 rises beside the hostile request: the median over rounds. null: in no round both are known. */
export function addedP99Ms(rounds: readonly HostileRound[]): number | null {
  return median(
    rounds.flatMap(({ alone, beside }) =>
      alone.ttftP99Ms === null || beside.ttftP99Ms === null ? [] : [beside.ttftP99Ms - alone.ttftP99Ms],
    ),
  );
}

/** `{ a: 1 }` and `{ a: 2, b: 1 }` are `{ a: 3, b: 1 }`. */
export function sumOfCounts(counts: readonly Record<string, number>[]): Record<string, number> {
  const sum: Record<string, number> = {};
  for (const [key, count] of counts.flatMap(Object.entries)) sum[key] = (sum[key] ?? 0) + count;
  return sum;
}

function counted(keys: readonly string[]): Record<string, number> {
  return sumOfCounts(keys.map((key) => ({ [key]: 1 })));
}
