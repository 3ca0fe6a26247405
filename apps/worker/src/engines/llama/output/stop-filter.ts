import { heldPrefixLength } from "./held-prefix.ts";

/**
 * Ends the content at the first stop string, which is not part of it, wherever tokens cut it. Text that may yet turn
 * out to be one is held back.
 */
export class StopFilter {
  readonly #stops: readonly string[];
  #held = "";
  #stopped = false;

  constructor(stops: readonly string[]) {
    this.#stops = stops;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  push(text: string): string {
    if (this.#stopped) return "";
    if (this.#stops.length === 0) return text;
    const seen = this.#held + text;
    const at = firstIndexOf(seen, this.#stops);
    if (at !== -1) {
      this.#stopped = true;
      this.#held = "";
      return seen.slice(0, at);
    }
    const held = heldPrefixLength(seen, this.#stops);
    this.#held = seen.slice(seen.length - held);
    return seen.slice(0, seen.length - held);
  }

  end(): string {
    const text = this.#held;
    this.#held = "";
    return text;
  }
}

function firstIndexOf(text: string, stops: readonly string[]): number {
  const found = stops.map((stop) => text.indexOf(stop)).filter((at) => at !== -1);
  return found.length === 0 ? -1 : Math.min(...found);
}
