import type { StepRecord } from "../engine/engine-under-test.ts";
import type { GenerationTrace, RoundTrace } from "../engine/workload.ts";
import { highest, median, quantile } from "../figures/statistics.ts";

/** What one round of one contender came to. null: it can't be told from outside this contender. */
export interface RoundMetrics {
  /** Completion tokens, of all slots. */
  tokens: number;
  /** While all slots decode: from the last first token to the first last one. */
  decodeTokensPerSecond: number | null;
  /** From the first request to the last token, prompts included. */
  totalTokensPerSecond: number;
  /** CPU time of the round, prompts included, by completion tokens. */
  cpuMsPerToken: number | null;
  ttftP50Ms: number | null;
  ttftP99Ms: number | null;
  /** The longest time between two tokens of one stream. */
  maxDecodeGapMs: number | null;
  /** Streams that got a token by slots there are, the mean over steps that decode. */
  stepFill: number | null;
  /** Runs of consecutive slot ids, the mean over steps that decode. llama.cpp computes one run at a time: 1 is best. */
  idRunsPerStep: number | null;
}

/** What is measured in a shorter part of all decoding says little about decoding. */
const MIN_WINDOW_SHARE = 0.25;

export function roundMetrics(trace: RoundTrace, slots: number): RoundMetrics {
  const { generations, cpuMs } = trace;
  const tokens = generations.reduce((sum, { tokenAtMs }) => sum + tokenAtMs.length, 0);
  const tookMs =
    Math.max(...generations.map(({ endedAtMs }) => endedAtMs)) -
    Math.min(...generations.map(({ sentAtMs }) => sentAtMs));
  const observed = trace.tokenTimes === "observed";
  const ttftsMs = observed
    ? generations.flatMap(({ tokenAtMs, sentAtMs }) => (tokenAtMs[0] ?? Number.NaN) - sentAtMs)
    : [];
  const steps = trace.steps?.filter((step) => step.rows > 0) ?? [];
  return {
    tokens,
    decodeTokensPerSecond: decodeTokensPerSecond(generations),
    totalTokensPerSecond: (tokens / tookMs) * 1_000,
    cpuMsPerToken: cpuMs === null ? null : cpuMs / tokens,
    ttftP50Ms: quantile(ttftsMs, 0.5),
    ttftP99Ms: quantile(ttftsMs, 0.99),
    maxDecodeGapMs: observed ? highest(generations.flatMap(gapsMs)) : null,
    stepFill: mean(steps.map((step) => step.rows / slots)),
    idRunsPerStep: mean(steps.map(idRuns)),
  };
}

/** Each figure's median over the rounds that have it. */
export function medianMetrics(rounds: readonly RoundMetrics[]): RoundMetrics {
  const keys = Object.keys(rounds[0] ?? {}) as (keyof RoundMetrics)[];
  const medians = keys.map((key) => [key, median(rounds.flatMap((round) => round[key] ?? []))]);
  return Object.fromEntries(medians) as RoundMetrics;
}

/**
 * Streams begin and end at slightly different times, also those of one step. So each one's tokens are taken as growing
 * evenly from token to token: then no stream's tokens are lost at the edges of the window.
 */
function decodeTokensPerSecond(generations: readonly GenerationTrace[]): number | null {
  const decoding = generations.map(({ tokenAtMs }) => tokenAtMs).filter((times) => times.length > 1);
  if (decoding.length === 0) return null;
  const fromMs = Math.max(...decoding.map((times) => times[0] as number));
  const toMs = Math.min(...decoding.map((times) => times.at(-1) as number));
  if (toMs <= fromMs) return null;
  const tokens = sum(decoding.map((times) => decodedBy(times, toMs) - decodedBy(times, fromMs)));
  const all = sum(decoding.map((times) => times.length - 1));
  return tokens < all * MIN_WINDOW_SHARE ? null : (tokens / (toMs - fromMs)) * 1_000;
}

/** Tokens after the first one, with the part of the next one that has passed. `atMs` is within the stream's time. */
function decodedBy(tokenAtMs: readonly number[], atMs: number): number {
  const next = tokenAtMs.findIndex((timeMs) => timeMs > atMs);
  if (next === -1) return tokenAtMs.length - 1;
  if (next === 0) return 0;
  const [beforeMs, afterMs] = [tokenAtMs[next - 1] as number, tokenAtMs[next] as number];
  return next - 1 + (atMs - beforeMs) / (afterMs - beforeMs);
}

export function gapsMs({ tokenAtMs }: Pick<GenerationTrace, "tokenAtMs">): number[] {
  return tokenAtMs.slice(1).map((timeMs, index) => timeMs - (tokenAtMs[index] as number));
}

/** 0, 1, 2, 5 are two runs. */
function idRuns({ slots }: StepRecord): number {
  return slots.filter((slot, index) => index === 0 || slot !== (slots[index - 1] as number) + 1).length;
}

function mean(values: readonly number[]): number | null {
  return values.length === 0 ? null : sum(values) / values.length;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
