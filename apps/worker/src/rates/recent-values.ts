import type { Moments } from "@quern/shared/contract/rates";

/** Enough for a p90 that means something, few enough to follow a change of the load within minutes. */
const KEPT_VALUES = 64;

/** The last values that were measured, and what they come to. */
export class RecentValues {
  readonly #values: number[] = [];
  #next = 0;

  /** What is not a number was not measured. */
  add(value: number): void {
    if (!Number.isFinite(value)) return;
    this.#values[this.#next] = value;
    this.#next = (this.#next + 1) % KEPT_VALUES;
  }

  /** null: there are none. */
  moments(): Moments | null {
    const count = this.#values.length;
    if (count === 0) return null;
    const mean = this.#values.reduce((sum, value) => sum + value, 0) / count;
    const variance = this.#values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / count;
    return { count, mean, variance };
  }

  /** The moments with the nearest ranks of one half and of nine tenths. */
  quantiles(): (Moments & { p50: number; p90: number }) | null {
    const moments = this.moments();
    if (moments === null) return null;
    const sorted = this.#values.toSorted((a, b) => a - b);
    const at = (share: number) => sorted[Math.ceil(share * sorted.length) - 1] as number;
    return { ...moments, p50: at(0.5), p90: at(0.9) };
  }
}
