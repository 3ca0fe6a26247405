/** An inclusive range of code points. Several make a set. */
export type CodeRange = readonly [first: number, last: number];

export const ALL_CODES: CodeRange[] = [[0, 0x10ffff]];

/** All other code points. */
export function complement(set: readonly CodeRange[]): CodeRange[] {
  const gaps: CodeRange[] = [];
  let next = 0;
  for (const [first, last] of set.toSorted((a, b) => a[0] - b[0])) {
    if (first > next) gaps.push([next, first - 1]);
    next = Math.max(next, last + 1);
  }
  if (next <= 0x10ffff) gaps.push([next, 0x10ffff]);
  return gaps;
}

export function intersection(a: readonly CodeRange[], b: readonly CodeRange[]): CodeRange[] {
  return a.flatMap(([first, last]) =>
    b
      .map(([from, to]): CodeRange => [Math.max(first, from), Math.min(last, to)])
      .filter(([from, to]) => from <= to),
  );
}

export function overlap(a: readonly CodeRange[], b: readonly CodeRange[]): boolean {
  return intersection(a, b).length > 0;
}
