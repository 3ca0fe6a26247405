import type { BatchProgress } from "@quern/shared/contract/batch";

/** What is looked back at. */
const WINDOW_MS = 30_000;
/** Less than that tells nothing. */
const MIN_WINDOW_MS = 3_000;
const MIN_STEPS = 3;
/** Of a normal distribution, nine of ten are below the mean plus so many deviations. */
const P90_DEVIATIONS = 1.2816;
/** However uneven it goes, a batch is not thought to become slower than that share of its rate. */
const SLOWEST_SHARE = 0.25;

/** A batch's counts at one moment; `atMs` is Unix time. */
export interface ProgressSample {
  atMs: number;
  /** Lines, copies included. */
  ended: number;
  outputTokens: number;
  total: number;
  isPaused: boolean;
}

/** How fast a batch goes, from samples about a second apart, and when it will be done if it goes on like that. */
export class ProgressMeter {
  #samples: ProgressSample[] = [];

  /** null: nothing can be told yet. */
  add(sample: ProgressSample): BatchProgress | null {
    const isOn = (earlier: ProgressSample) => sample.atMs - earlier.atMs <= WINDOW_MS;
    this.#samples = [...this.#samples.filter(isOn), sample];
    const [first] = this.#samples;
    const spanMs = first === undefined ? 0 : sample.atMs - first.atMs;
    if (first === undefined || spanMs < MIN_WINDOW_MS) return null;
    const lines = sample.ended - first.ended;
    return {
      measuredAtMs: sample.atMs,
      linesPerSecond: rounded((1_000 * lines) / spanMs),
      outputTokensPerSecond: rounded((1_000 * (sample.outputTokens - first.outputTokens)) / spanMs),
      endAtMs: sample.isPaused ? null : this.#end(sample, lines / spanMs),
    };
  }

  /** `rate` in lines a millisecond. The spread is that of the rates between samples, as it bears on their mean. */
  #end({ atMs, total, ended }: ProgressSample, rate: number): BatchProgress["endAtMs"] {
    const steps = this.#samples.slice(1).flatMap((sample, at) => {
      const before = this.#samples[at] as ProgressSample;
      const tookMs = sample.atMs - before.atMs;
      return tookMs > 0 ? [(sample.ended - before.ended) / tookMs] : [];
    });
    if (rate <= 0 || steps.length < MIN_STEPS) return null;
    const variance = steps.reduce((sum, step) => sum + (step - rate) ** 2, 0) / (steps.length - 1);
    const slow = Math.max(rate - P90_DEVIATIONS * Math.sqrt(variance / steps.length), rate * SLOWEST_SHARE);
    const left = Math.max(total - ended, 0);
    return { p50: Math.round(atMs + left / rate), p90: Math.round(atMs + left / slow) };
  }
}

function rounded(rate: number): number {
  return Math.max(0, Math.round(rate * 100) / 100);
}
