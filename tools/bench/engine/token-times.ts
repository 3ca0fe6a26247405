/**
 * Times of the tokens of an answer that came as a whole, of which only the first and the last one's are known: even
 * distances. Milliseconds.
 */
export function spreadEvenly(firstAtMs: number, lastAtMs: number, tokens: number): number[] {
  if (tokens === 1) return [firstAtMs];
  const everyMs = (lastAtMs - firstAtMs) / (tokens - 1);
  return Array.from({ length: tokens }, (_, index) => firstAtMs + index * everyMs);
}
