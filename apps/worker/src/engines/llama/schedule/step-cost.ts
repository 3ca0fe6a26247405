/** How a step's time is predicted: `passes × passMs + rows × rowMs + prefillTokens × prefillTokenMs`. */
export interface StepShape {
  /** Runs of consecutive slots: llama.cpp reads the weights once for each. */
  passes: number;
  /** Slots that feed a token to decode on. */
  rows: number;
  /** Tokens of prompts. */
  prefillTokens: number;
}

/** A measured step counts half as much this many steps later. */
const HALF_LIFE_STEPS = 64;
const DECAY = 0.5 ** (1 / HALF_LIFE_STEPS);
/** Of prompts: soon, for the further a prompt has got, the more each of its tokens costs. */
const PREFILL_HALF_LIFE_STEPS = 6;
const PREFILL_DECAY = 0.5 ** (1 / PREFILL_HALF_LIFE_STEPS);
/** Before anything is measured: a CPU pays for every row, a GPU for every pass over the weights. */
const PRIOR_ROWS_PER_PASS = { cpu: 0.5, gpu: 12 };
/** The prior weighs as much as this many measured steps. */
const PRIOR_STEPS = 4;

/**
 * What steps cost on this machine with this model, learned while it runs. A GPU reads the weights for one row or
 * sixteen in about the same time; a CPU pays for each row. The difference decides whether a gap between busy slots
 * is better bridged, and how long a chunk of a prompt may be beside running streams.
 *
 * Passes and rows are told apart by least squares with an exponential window, held near a prior while all steps so
 * far had one shape.
 */
export class StepCost {
  readonly #priorRowsPerPass: number;
  #pp = 0;
  #pr = 0;
  #rr = 0;
  #pt = 0;
  #rt = 0;
  #weight = 0;
  /** Small parts beside streams cost more per token than large ones alone. */
  readonly #besideStreams = new Rate();
  readonly #alone = new Rate();

  /** `device`: `cpu`, or the name of a GPU. */
  static of(device: string): StepCost {
    return new StepCost(device === "cpu" ? PRIOR_ROWS_PER_PASS.cpu : PRIOR_ROWS_PER_PASS.gpu);
  }

  /** `rowsPerPass`: what a pass is thought to cost, in rows, before anything is measured. */
  constructor(rowsPerPass: number) {
    this.#priorRowsPerPass = rowsPerPass;
  }

  learn({ passes, rows, prefillTokens }: StepShape, tookMs: number): void {
    if (prefillTokens > 0) {
      const decodeMs = rows === 0 ? 0 : (this.predictMs({ passes, rows, prefillTokens: 0 }) ?? 0);
      const rate = rows === 0 ? this.#alone : this.#besideStreams;
      rate.learn(Math.max(0, tookMs - decodeMs), prefillTokens);
      return;
    }
    this.#pp = this.#pp * DECAY + passes * passes;
    this.#pr = this.#pr * DECAY + passes * rows;
    this.#rr = this.#rr * DECAY + rows * rows;
    this.#pt = this.#pt * DECAY + passes * tookMs;
    this.#rt = this.#rt * DECAY + rows * tookMs;
    this.#weight = this.#weight * DECAY + 1;
  }

  /** null: nothing was measured yet. */
  predictMs({ passes, rows, prefillTokens }: StepShape): number | null {
    const decode = this.#decode();
    if (decode === null) return null;
    const prefillMs = prefillTokens > 0 ? prefillTokens * (this.prefillTokenMs() ?? decode.rowMs) : 0;
    return passes * decode.passMs + rows * decode.rowMs + prefillMs;
  }

  /** Of a prompt beside running streams; null: nothing was measured yet. */
  prefillTokenMs(): number | null {
    return this.#besideStreams.msPerToken() ?? this.#alone.msPerToken();
  }

  /** What one more pass costs, in rows. */
  rowsPerPass(): number {
    const decode = this.#decode();
    if (decode === null) return this.#priorRowsPerPass;
    return decode.passMs / Math.max(decode.rowMs, Number.EPSILON);
  }

  #decode(): { passMs: number; rowMs: number } | null {
    if (this.#weight === 0) return null;
    // The prior as steps of one row in one pass and of eight rows in one pass, at a speed that fits what was measured.
    const prior = this.#priorRowsPerPass;
    const msPerUnit =
      (this.#pt * prior + this.#rt) / Math.max(this.#pp * prior ** 2 + 2 * this.#pr * prior + this.#rr, 1e-9);
    let [pp, pr, rr, pt, rt] = [this.#pp, this.#pr, this.#rr, this.#pt, this.#rt];
    for (const rows of [1, 8]) {
      const weight = (PRIOR_STEPS / 2) * Math.min(1, this.#weight);
      const ms = (prior + rows) * msPerUnit;
      pp += weight;
      pr += weight * rows;
      rr += weight * rows * rows;
      pt += weight * ms;
      rt += weight * rows * ms;
    }
    const determinant = pp * rr - pr * pr;
    const passMs = (pt * rr - rt * pr) / determinant;
    const rowMs = (rt * pp - pt * pr) / determinant;
    // Noise can push one below zero; then the other carries all of it.
    if (passMs < 0) return { passMs: 0, rowMs: rt / rr };
    if (rowMs < 0) return { passMs: pt / pp, rowMs: 0 };
    return { passMs, rowMs };
  }
}

class Rate {
  #ms = 0;
  #tokens = 0;

  learn(ms: number, tokens: number): void {
    this.#ms = this.#ms * PREFILL_DECAY + ms;
    this.#tokens = this.#tokens * PREFILL_DECAY + tokens;
  }

  /** null: nothing was measured yet. */
  msPerToken(): number | null {
    return this.#tokens === 0 ? null : this.#ms / this.#tokens;
  }
}
