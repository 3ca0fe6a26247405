import type { Readable } from "node:stream";

/**
 * The chunks of `source`, which must not keep silent for longer than `stallMs` while somebody waits for the next one. Who reads may take
 * its time.
 * @throws Error named TimeoutError; `source` is destroyed then, as it is when nobody reads on.
 */
export async function* withoutStalls(
  source: Readable,
  stallMs: number,
): AsyncGenerator<Buffer, void, undefined> {
  const chunks = source[Symbol.asyncIterator]();
  try {
    for (;;) {
      const stall = setTimeout(() => source.destroy(timeoutError(stallMs)), stallMs);
      const next = await chunks.next().finally(() => clearTimeout(stall));
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    source.destroy();
  }
}

function timeoutError(stallMs: number): Error {
  return Object.assign(new Error(`nothing came for ${stallMs} ms`), { name: "TimeoutError" });
}
