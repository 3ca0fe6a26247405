/** What repeated measurements come to. Medians, because one disturbed round must not move the outcome. */

/** null: there is nothing to take it of. */
export function median(values: readonly number[]): number | null {
  return quantile(values, 0.5);
}

/**
 * Linear between the two neighbours, as R's type 7 and NumPy's default do.
 *
 * @param share 0 is the lowest value, 1 the highest.
 */
export function quantile(values: readonly number[], share: number): number | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  const position = share * (sorted.length - 1);
  const below = sorted[Math.floor(position)] as number;
  const above = sorted[Math.ceil(position)] as number;
  return below + (above - below) * (position - Math.floor(position));
}

/** Of any number of values: `Math.max(...values)` fails where they are more than a call can take. null: there are none. */
export function highest(values: readonly number[]): number | null {
  return values.reduce<number | null>((top, value) => (top === null || value > top ? value : top), null);
}

/**
 * The median over rounds of one contender's value by the other's. Both values of a round were measured within seconds,
 * so what slowed the machine down slowed both: a ratio is steadier than the values it is made of.
 *
 * Rounds in which either has no value don't count.
 */
export function medianRatio(
  values: readonly (number | null)[],
  references: readonly (number | null)[],
): number | null {
  const ratios = values.flatMap((value, round) => {
    const reference = references[round];
    return value == null || reference == null || reference === 0 ? [] : [value / reference];
  });
  return median(ratios);
}
