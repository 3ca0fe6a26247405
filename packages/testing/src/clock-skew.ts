import { join } from "node:path";
import { pathToFileURL } from "node:url";

/** What a process, and its children, must have in their environment for their clocks to be off by so much. */
export function clockSkew(offsetMs: number): Record<string, string> {
  if (offsetMs === 0) return {};
  const preload = pathToFileURL(join(import.meta.dirname, "skewed-clock.ts"));
  preload.searchParams.set("offsetMs", String(offsetMs));
  return { NODE_OPTIONS: `--import=${preload.href}` };
}
