/** Levels of objects and lists in a schema's JSON. */
const MAX_LEVELS = 256;

/**
 * Where each object of a schema document stands, as JSON pointers behind `at`; null: it is nested too deep to be
 * walked. Alternatives are merged and moved when a grammar is made; errors still name the place they came from.
 */
export function schemaPaths(document: unknown, at: string): ReadonlyMap<object, string> | null {
  const paths = new Map<object, string>();
  const open: { value: unknown; path: string; level: number }[] = [{ value: document, path: at, level: 0 }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { value, path, level } = next;
    if (typeof value !== "object" || value === null) continue;
    if (level > MAX_LEVELS) return null;
    paths.set(value, path);
    for (const [name, member] of Object.entries(value)) {
      const step = name.replaceAll("~", "~0").replaceAll("/", "~1");
      open.push({ value: member, path: `${path}/${step}`, level: level + 1 });
    }
  }
  return paths;
}
