import { RandomSource } from "@quern/testing/gguf/random-source";

/** The choices of a run. One seed gives the same ones again, to each part by its own stream (`fork`). */
export class Random {
  readonly #source: RandomSource;

  constructor(seed: number) {
    this.#source = new RandomSource(seed);
    // The first numbers of close seeds are alike.
    for (let i = 0; i < 8; i++) this.#source.uint32();
  }

  fork(): Random {
    return new Random(this.#source.uint32());
  }

  /** A whole number from 0 up to `limit`, which is not reached. */
  below(limit: number): number {
    return this.#source.uint32() % limit;
  }

  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  /** True `percent` times out of 100. */
  chance(percent: number): boolean {
    return this.below(100) < percent;
  }

  pick<Item>(items: readonly Item[]): Item {
    if (items.length === 0) throw new Error("nothing to pick from");
    return items[this.below(items.length)] as Item;
  }

  shuffled<Item>(items: readonly Item[]): Item[] {
    const left = [...items];
    return Array.from(items, () => left.splice(this.below(left.length), 1)[0] as Item);
  }
}
