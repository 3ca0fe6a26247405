import type { EntryOrder } from "../protocol/entry-order.ts";

/** What waits for a slot, in the order that the worker's slot pool gave. */
export class EntryQueue<Item extends { readonly order: EntryOrder }> {
  readonly #items: Item[] = [];

  get isEmpty(): boolean {
    return this.#items.length === 0;
  }

  get items(): readonly Item[] {
    return this.#items;
  }

  /** Behind all of the same rank. */
  add(item: Item): void {
    const behind = this.#items.findLastIndex(({ order }) => order.rank <= item.order.rank);
    this.#items.splice(behind + 1, 0, item);
  }

  remove(item: Item): void {
    const at = this.#items.indexOf(item);
    if (at !== -1) this.#items.splice(at, 1);
  }

  /** What may enter now; undefined: the first one has to wait, and nothing overtakes it. */
  next(freeSlots: number): Item | undefined {
    const [first] = this.#items;
    return first !== undefined && freeSlots > first.order.leaveFree ? first : undefined;
  }
}
