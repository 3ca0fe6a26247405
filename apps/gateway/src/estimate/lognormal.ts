/**
 * Times that can't be negative and have a long tail, described by mean and variance: the log-normal distribution, whose
 * quantiles are closed formulas. Sums of such times are taken for log-normal again, with the sums of means and
 * variances (Fenton and Wilkinson).
 */
export interface TimeMs {
  meanMs: number;
  /** Square milliseconds. */
  variance: number;
}

/** Standard normal quantiles. */
export const MEDIAN = 0;
export const ONE_IN_TEN = -1.2816;
export const NINE_IN_TEN = 1.2816;

export function add(a: TimeMs, b: TimeMs): TimeMs {
  return { meanMs: a.meanMs + b.meanMs, variance: a.variance + b.variance };
}

/** The same time where the speed that it depends on strays, up or down, by `share` of itself. The median stays. */
export function strayed({ meanMs, variance }: TimeMs, share: number): TimeMs {
  if (meanMs <= 0) return { meanMs, variance };
  const factor = 1 + share ** 2;
  const strayedMeanMs = meanMs * Math.sqrt(factor);
  return {
    meanMs: strayedMeanMs,
    variance: strayedMeanMs ** 2 * ((1 + variance / meanMs ** 2) * factor - 1),
  };
}

/** `normalQuantile`: how many standard deviations from the middle, on the scale of logarithms. */
export function quantileMs(time: TimeMs, normalQuantile: number): number {
  if (time.meanMs <= 0) return 0;
  const { mu, sigma } = logarithms(time);
  return Math.exp(mu + sigma * normalQuantile);
}

/** Of what is left of a time of which `elapsedMs` have passed already; `share` from 0 to 1. */
export function remainingQuantileMs(time: TimeMs, elapsedMs: number, share: number): number {
  if (time.meanMs <= 0) return 0;
  const { mu, sigma } = logarithms(time);
  const passed = elapsedMs <= 0 ? 0 : normalCdf((Math.log(elapsedMs) - mu) / sigma);
  // One that takes far longer than its like says nothing any more: it may end at once.
  const whole = Math.min(1 - (1 - passed) * (1 - share), 0.9999);
  return Math.max(Math.exp(mu + sigma * normalQuantileOf(whole)) - Math.max(elapsedMs, 0), 0);
}

function logarithms({ meanMs, variance }: TimeMs): { mu: number; sigma: number } {
  const square = Math.max(Math.log(1 + variance / meanMs ** 2), 1e-12);
  return { mu: Math.log(meanMs) - square / 2, sigma: Math.sqrt(square) };
}

/** Abramowitz and Stegun 26.2.17: within 7.5e-8. */
function normalCdf(x: number): number {
  const t = 1 / (1 + 0.231_641_9 * Math.abs(x));
  const polynomial =
    t *
    (0.319_381_53 + t * (-0.356_563_782 + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
  const tail = (Math.exp(-(x ** 2) / 2) / Math.sqrt(2 * Math.PI)) * polynomial;
  return x >= 0 ? 1 - tail : tail;
}

/** Abramowitz and Stegun 26.2.23: within 4.5e-4. */
function normalQuantileOf(share: number): number {
  const tail = Math.max(Math.min(share, 1 - share), 1e-9);
  const t = Math.sqrt(-2 * Math.log(tail));
  const x =
    t -
    (2.515_517 + 0.802_853 * t + 0.010_328 * t ** 2) /
      (1 + 1.432_788 * t + 0.189_269 * t ** 2 + 0.001_308 * t ** 3);
  return share < 0.5 ? -x : x;
}
