/**
 * The chunks of `source` until `signal` aborts, also while it keeps silent. Whoever stops reading lets go of `source`, without waiting for it.
 * @throws the reason of the abort.
 */
export async function* abortable<Chunk>(
  source: AsyncIterable<Chunk>,
  signal: AbortSignal,
): AsyncGenerator<Chunk, void, undefined> {
  const chunks = source[Symbol.asyncIterator]();
  let stopWaiting = (_reason: unknown) => {};
  const abort = () => stopWaiting(signal.reason);
  signal.addEventListener("abort", abort);
  try {
    for (;;) {
      signal.throwIfAborted();
      // Not a race with one promise of the abort: that would keep every chunk until the end.
      const next = await new Promise<IteratorResult<Chunk>>((resolve, reject) => {
        stopWaiting = reject;
        chunks.next().then(resolve, reject);
      });
      if (next.done) return;
      yield next.value;
    }
  } finally {
    signal.removeEventListener("abort", abort);
    Promise.resolve(chunks.return?.()).catch(() => {});
  }
}
