/** Indexes of lines, one bit each: a batch may have millions. */
export class LineSet {
  readonly #bits: Uint8Array;
  size = 0;

  /** Of indexes below `total`; others are passed over. */
  constructor(total: number) {
    this.#bits = new Uint8Array(Math.ceil(total / 8));
  }

  add(index: number): void {
    const byte = this.#bits[index >> 3];
    const bit = 1 << (index & 7);
    if (byte === undefined || (byte & bit) !== 0) return;
    this.#bits[index >> 3] = byte | bit;
    this.size += 1;
  }

  has(index: number): boolean {
    return ((this.#bits[index >> 3] ?? 0) & (1 << (index & 7))) !== 0;
  }
}
