import type { Endpoint } from "@quern/shared/contract/job";
import { NO_LEADER } from "@quern/shared/files/line-leaders";
import { DigestTable } from "./digest-table.ts";

const FIRST_LINES = 1_024;

/** Which lines ask for the very same as an earlier one, where there is one possible answer only. */
export class LineCopies {
  readonly #endpoint: Endpoint;
  readonly #bodies = new DigestTable();
  #leaders = new Int32Array(FIRST_LINES);
  #lines = 0;

  constructor(endpoint: Endpoint) {
    this.#endpoint = endpoint;
  }

  /** The next line of the input. */
  add(body: Record<string, unknown>): void {
    if (this.#lines === this.#leaders.length) {
      const grown = new Int32Array(2 * this.#lines);
      grown.set(this.#leaders);
      this.#leaders = grown;
    }
    this.#leaders[this.#lines] = this.#leaderOf(body);
    this.#lines += 1;
  }

  /** Of each line the index of the line that it copies, or `NO_LEADER`; null: there is no copy. */
  get leaders(): Int32Array | null {
    const leaders = this.#leaders.subarray(0, this.#lines);
    return leaders.some((leader) => leader !== NO_LEADER) ? leaders : null;
  }

  #leaderOf(body: Record<string, unknown>): number {
    if (!hasOneAnswer(this.#endpoint, body)) return NO_LEADER;
    const text = textOf(body);
    const first = text === null ? null : this.#bodies.see(text, this.#lines + 1);
    return first === null ? NO_LEADER : first - 1;
  }
}

/** The same for bodies that say the same. null: it is nested too deep to be written down again, and refused when it is its turn. */
function textOf(body: Record<string, unknown>): string | null {
  try {
    return JSON.stringify(body, sorted);
  } catch {
    return null;
  }
}

/** Vectors are the same each time, and so is text that is chosen by its likelihood alone or by the same draws. */
function hasOneAnswer(endpoint: Endpoint, { temperature, seed }: Record<string, unknown>): boolean {
  return endpoint === "/v1/embeddings" || temperature === 0 || typeof seed === "number";
}

/** The order of fields says nothing. */
function sorted(_key: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
