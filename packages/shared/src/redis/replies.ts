/** What Redis gives flat, a, b, a, b, …: fields and values of a hash, members and scores. */
export function pairsOf(flat: readonly string[]): [string, string][] {
  return Array.from({ length: Math.floor(flat.length / 2) }, (_, at) => [
    flat[2 * at] as string,
    flat[2 * at + 1] as string,
  ]);
}

/** Values as HMGET gives them for `fields`, without those that are not there. */
export function hashOf(
  fields: readonly string[],
  values: readonly (string | null)[],
): Record<string, string> {
  return Object.fromEntries(
    fields.flatMap((field, at) => {
      const value = values[at];
      return typeof value === "string" ? [[field, value]] : [];
    }),
  );
}
