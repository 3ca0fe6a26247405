/** An even spread over this width has the standard deviation 1. */
const UNIFORM_WIDTH = Math.sqrt(12);

/** A stream of random numbers that its seed determines: the same file on every machine. xorshift32 (Marsaglia). */
export class RandomSource {
  #state: number;

  constructor(seed: number) {
    // Spread small seeds over all bits; the state must never be 0.
    this.#state = Math.imul(seed + 1, 2_654_435_761) >>> 0 || 1;
  }

  uint32(): number {
    let state = this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state >>> 0;
    return this.#state;
  }

  /** Evenly spread around 0 with the given standard deviation. */
  weight(standardDeviation: number): number {
    return (this.uint32() - 2 ** 31) * (UNIFORM_WIDTH / 2 ** 32) * standardDeviation;
  }

  sign(): 1 | -1 {
    return this.uint32() & 0x8000 ? 1 : -1;
  }
}
