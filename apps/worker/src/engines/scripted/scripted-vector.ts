/** Numbers of a scripted vector. */
export const DIMENSIONS = 8;

/** A vector that depends on the tokens alone. */
export function scriptedVector(tokens: readonly number[]): number[] {
  return Array.from({ length: DIMENSIONS }, (_, at) =>
    tokens.reduce((sum, token, position) => sum + Math.sin((token + 1) * (at + 1) + position), 0.5),
  );
}
