/**
 * The chunks of `source` until `signal` aborts, also while it keeps silent. Whoever stops reading lets go of `source`, without waiting for it.
 * @throws the reason of the abort.
 */
export async function* abortable<Chunk>(
  source: AsyncIterable<Chunk>,
  signal: AbortSignal,
): AsyncGenerator<Chunk, void, undefined> {
  const chunks = source[Symbol.asyncIterator]();
  const gone = Promise.withResolvers<never>();
  gone.promise.catch(() => {}); // told by the race, if there is one
  const abort = () => gone.reject(signal.reason);
  if (signal.aborted) abort();
  else signal.addEventListener("abort", abort, { once: true });
  try {
    for (;;) {
      const next = await Promise.race([gone.promise, chunks.next()]);
      if (next.done) return;
      yield next.value;
    }
  } finally {
    signal.removeEventListener("abort", abort);
    Promise.resolve(chunks.return?.()).catch(() => {});
  }
}
