import { z } from "zod";
import { JsonValueEnd } from "./json-value-end.ts";
import {
  CALL_CLOSE,
  type CallPiece,
  type CallReading,
  readCallTail,
  type ToolCallBlock,
} from "./tool-call-block.ts";

/** What stands before the arguments when they can be streamed: the name, and nothing else. */
const HEAD = /^\s*\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)+")\s*,\s*"arguments"\s*:\s*(?=\{)/s;
/** Characters within which the arguments begin, or the block is read whole: a head is looked for again and again. */
const MAX_HEAD = 1_024;

const calledSchema = z.object({ name: z.string().min(1), arguments: z.record(z.string(), z.unknown()) });

/**
 * Qwen's Hermes form, `{"name": …, "arguments": {…}}`:
 *
 *   head ──name and the arguments' brace──▶ arguments ──their closing brace──▶ tail ──"</tool_call>"──▶ closed
 *
 * Arguments keep the model's own spelling: a follow-up request shows them to the model again, and it goes on best from
 * what it wrote. A block that is ordered otherwise is read whole at its end, and its arguments are spelled anew.
 */
export class HermesCallBlock implements ToolCallBlock {
  #stage: "head" | "arguments" | "tail" = "head";
  readonly #argumentsEnd = new JsonValueEnd();

  read(text: string): CallReading {
    const pieces: CallPiece[] = [];
    let length = 0;
    if (this.#stage === "head") {
      const close = text.indexOf(CALL_CLOSE);
      const head = readHead(close === -1 ? text : text.slice(0, close));
      if (head === null) {
        return close === -1 ? { pieces, length, outcome: "open" } : readWhole(text.slice(0, close));
      }
      pieces.push({ kind: "name", name: head.name });
      length = head.length;
      this.#stage = "arguments";
    }
    if (this.#stage === "arguments") {
      const end = this.#argumentsEnd.read(text.slice(length));
      if (end.length > 0) pieces.push({ kind: "arguments", text: text.slice(length, length + end.length) });
      length += end.length;
      if (!end.ended) return { pieces, length, outcome: "open" };
      this.#stage = "tail";
    }
    const tail = readCallTail(text.slice(length));
    return { pieces, length: length + tail.length, outcome: tail.outcome };
  }
}

function readHead(text: string): { name: string; length: number } | null {
  const match = HEAD.exec(text.slice(0, MAX_HEAD));
  const name = match?.[1] === undefined ? undefined : parsedJson(match[1]);
  return match === null || typeof name !== "string" ? null : { name, length: match[0].length };
}

function readWhole(block: string): CallReading {
  const length = block.length + CALL_CLOSE.length;
  const called = calledSchema.safeParse(parsedJson(block));
  if (!called.success) return { pieces: [], length, outcome: "refused" };
  const { name, arguments: given } = called.data;
  return {
    pieces: [
      { kind: "name", name },
      { kind: "arguments", text: JSON.stringify(given) },
    ],
    length,
    outcome: "closed",
  };
}

/** undefined, which no JSON text means: it isn't one. */
function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
