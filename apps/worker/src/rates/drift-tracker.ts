import { FIRST_DRIFT } from "@quern/shared/contract/rates";

/** One in ten jobs may begin after its p90: that is what a p90 is. */
const LATE_SHARE = 0.1;
/** A dozen late jobs in a row double the first drift; it takes a hundred that are in time to get it back. */
const GAIN = 0.02;
const LEAST_DRIFT = 0.1;
const MOST_DRIFT = 1;

/**
 * How far speeds stray from what was measured shortly before: neighbours on the machine, prompts of another kind. It
 * is not measured but steered (a quantile by stochastic approximation, Robbins and Monro): each job that is late makes
 * estimates wider, each that is in time makes them narrower by a ninth of that, so they rest where one in ten is late.
 */
export class DriftTracker {
  #drift = FIRST_DRIFT;

  /** As a share of the time that is estimated. */
  get current(): number {
    return this.#drift;
  }

  /** Of a job that had others before it; what finds a slot free does not wait for anybody's speed. */
  began(when: "in_time" | "late"): void {
    const step = when === "late" ? 1 - LATE_SHARE : -LATE_SHARE;
    this.#drift = Math.min(Math.max(this.#drift + GAIN * step, LEAST_DRIFT), MOST_DRIFT);
  }
}
