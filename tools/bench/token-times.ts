/** Times of tokens, from contenders that don't tell each one's. All ascending, in milliseconds. */

/**
 * A stream in which some chunks carry more than one token, unknown which: bytes are held back until they are a
 * character. The first token comes with the first chunk, the last with the last, the others evenly between.
 *
 * @returns as many times as there are tokens; none where there were no chunks.
 */
export function spreadOverChunks(chunkAtMs: readonly number[], tokens: number): number[] {
  if (chunkAtMs.length === 0) return [];
  return Array.from({ length: tokens }, (_, index) => {
    const chunk = tokens === 1 ? 0 : Math.round((index / (tokens - 1)) * (chunkAtMs.length - 1));
    return chunkAtMs[chunk] as number;
  });
}

/** An answer that came as a whole: tokens at even distances. */
export function spreadEvenly(firstAtMs: number, lastAtMs: number, tokens: number): number[] {
  if (tokens === 1) return [firstAtMs];
  const everyMs = (lastAtMs - firstAtMs) / (tokens - 1);
  return Array.from({ length: tokens }, (_, index) => firstAtMs + index * everyMs);
}
