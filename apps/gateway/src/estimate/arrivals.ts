import type { JobClass } from "@quern/shared/contract/job";

/** A job on its way into its queue, until it is disposed; a second time does nothing. */
export interface Arrival extends Disposable {
  /** How many jobs of its queue were on their way before it. */
  readonly before: number;
}

/**
 * Jobs that this gateway is putting into their queues just now. The queue's length does not tell of them yet, and who
 * submits a hundred jobs at once would be told a hundred times that nobody is in front.
 */
export class Arrivals {
  readonly #counts = new Map<string, number>();

  begin(model: string, jobClass: JobClass): Arrival {
    const queue = `${model}:${jobClass}`;
    const before = this.#counts.get(queue) ?? 0;
    this.#counts.set(queue, before + 1);
    return { before, [Symbol.dispose]: once(() => this.#end(queue)) };
  }

  #end(queue: string): void {
    const left = (this.#counts.get(queue) ?? 1) - 1;
    if (left > 0) this.#counts.set(queue, left);
    else this.#counts.delete(queue);
  }
}

function once(act: () => void): () => void {
  let left: (() => void) | null = act;
  return () => {
    left?.();
    left = null;
  };
}
