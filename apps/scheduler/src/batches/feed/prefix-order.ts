import type { Endpoint } from "@quern/shared/contract/job";
import type { InputLineText } from "./input-block.ts";

/**
 * Lines whose prompts begin alike, one after another: an engine has that beginning in a slot then, and computes the rest
 * only. `descending` for every other block of an input, so that a block begins near where the last one ended.
 */
export function orderByPrefix<Line extends Pick<InputLineText, "text">>(
  lines: readonly Line[],
  endpoint: Endpoint,
  direction: "ascending" | "descending",
): Line[] {
  // Texts to be made vectors of share nothing.
  if (endpoint === "/v1/embeddings") return [...lines];
  const read = lines.map((line) => ({ line, prompt: promptOf(line.text ?? "") }));
  read.sort((a, b) => (a.prompt < b.prompt ? -1 : a.prompt > b.prompt ? 1 : 0));
  if (direction === "descending") read.reverse();
  return read.map(({ line }) => line);
}

/** What the model reads of a line, about in that order: chat templates put instructions and tools in front. */
function promptOf(text: string): string {
  try {
    const { body } = fieldsOf(JSON.parse(text));
    const { instructions, messages, tools, prompt, input } = fieldsOf(body);
    const all = Array.isArray(messages) ? messages : [];
    const others = all.filter((message) => !isSystem(message));
    const parts = [instructions, all.filter(isSystem), tools, prompt, input, others];
    return parts.map((part) => JSON.stringify(part ?? null)).join("\n");
  } catch {
    // No JSON, or nested too deep to be written down again: it is refused when it is its turn.
    return "";
  }
}

function isSystem(message: unknown): boolean {
  const { role } = fieldsOf(message);
  return role === "system" || role === "developer";
}

function fieldsOf(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}
