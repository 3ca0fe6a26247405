import { hash } from "node:crypto";

/** 96 bits of a digest: among a billion texts two are confused with a chance of one in 10^11. */
const WORDS = 3;
const DIGEST_BYTES = 4 * WORDS;
/** Beyond that, searches grow long. */
const MAX_LOAD = 0.7;

/**
 * Texts and where each was first seen, by their digests in typed arrays: 23 to 46 bytes a text, however long it is. An
 * open hash table with linear probing; a slot is free while its place is 0.
 */
export class DigestTable {
  #slots = 1_024;
  #digests = new Uint32Array(this.#slots * WORDS);
  #places = new Uint32Array(this.#slots);
  #size = 0;

  /** `place` is above 0. @returns where the text was first seen; null: here, and it is kept. */
  see(text: string, place: number): number | null {
    if (this.#size >= this.#slots * MAX_LOAD) this.#grow();
    const digest = hash("sha256", text, "buffer").subarray(0, DIGEST_BYTES);
    const words = Array.from({ length: WORDS }, (_, at) => digest.readUInt32LE(4 * at));
    const slot = this.#slotOf(words);
    const seen = this.#places[slot] ?? 0;
    if (seen !== 0) return seen;
    this.#put(slot, words, place);
    return null;
  }

  /** The one that holds the digest, or a free one. */
  #slotOf(words: readonly number[]): number {
    const mask = this.#slots - 1;
    let slot = (words[0] ?? 0) & mask;
    while (this.#places[slot] !== 0 && !this.#holds(slot, words)) slot = (slot + 1) & mask;
    return slot;
  }

  #holds(slot: number, words: readonly number[]): boolean {
    return words.every((word, at) => this.#digests[slot * WORDS + at] === word);
  }

  #put(slot: number, words: readonly number[], place: number): void {
    this.#digests.set(words, slot * WORDS);
    this.#places[slot] = place;
    this.#size += 1;
  }

  #grow(): void {
    const [digests, places] = [this.#digests, this.#places];
    this.#slots *= 2;
    this.#digests = new Uint32Array(this.#slots * WORDS);
    this.#places = new Uint32Array(this.#slots);
    this.#size = 0;
    for (const [slot, place] of places.entries()) {
      if (place === 0) continue;
      const words = Array.from(digests.subarray(slot * WORDS, (slot + 1) * WORDS));
      this.#put(this.#slotOf(words), words, place);
    }
  }
}
