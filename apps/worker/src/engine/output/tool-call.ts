import type { ToolCall } from "@quern/shared/contract/generation";
import { z } from "zod";

const calledSchema = z.object({ name: z.string().min(1), arguments: z.record(z.string(), z.unknown()) });

/**
 * Reads the inside of a `<tool_call>` block in Qwen's Hermes form, `{"name": …, "arguments": {…}}`; null when it is
 * not one. The arguments keep the model's own spelling: a follow-up request shows them to the model again, and it
 * goes on best from what it wrote.
 */
export function parseToolCall(block: string, id: string): ToolCall | null {
  let json: unknown;
  try {
    json = JSON.parse(block);
  } catch {
    return null;
  }
  const called = calledSchema.safeParse(json);
  if (!called.success) return null;
  const spelled = argumentsAsSpelled(block, called.data.arguments) ?? JSON.stringify(called.data.arguments);
  return { id, type: "function", function: { name: called.data.name, arguments: spelled } };
}

/** The text of the last top-level member when that is `arguments`; null when the block is ordered otherwise. */
function argumentsAsSpelled(block: string, parsed: object): string | null {
  const match = /"arguments"\s*:\s*(\{.*\})\s*\}\s*$/s.exec(block);
  if (match?.[1] === undefined) return null;
  try {
    return JSON.stringify(JSON.parse(match[1])) === JSON.stringify(parsed) ? match[1] : null;
  } catch {
    return null;
  }
}
