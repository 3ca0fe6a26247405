import type { RoundTrace } from "../engine/workload.ts";

/** What jobs with common beginnings came to, in one round. */
export interface PrefixMetrics {
  /** Tokens of system prompts that were not computed again, of all that jobs brought. First uses count as misses. */
  cachedShare: number;
  /** From the first job's start to the last one's end. */
  jobsPerSecond: number;
}

/** `sharedTokens`: with how many tokens each prompt begins that others may share. */
export function prefixMetrics({ generations }: RoundTrace, sharedTokens: number): PrefixMetrics {
  const cached = generations.map(({ cachedTokens }) => Math.min(cachedTokens, sharedTokens));
  const tookMs =
    Math.max(...generations.map(({ endedAtMs }) => endedAtMs)) -
    Math.min(...generations.map(({ sentAtMs }) => sentAtMs));
  return {
    cachedShare: cached.reduce((sum, tokens) => sum + tokens, 0) / (sharedTokens * generations.length),
    jobsPerSecond: (generations.length / tookMs) * 1_000,
  };
}
