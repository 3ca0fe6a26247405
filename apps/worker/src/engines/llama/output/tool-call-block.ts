import { heldPrefixLength } from "./held-prefix.ts";

export const CALL_OPEN = "<tool_call>";
export const CALL_CLOSE = "</tool_call>";

/** The name comes first, and once; the arguments' pieces add up to their JSON text. */
export type CallPiece = { kind: "name"; name: string } | { kind: "arguments"; text: string };

/** What was found in the text behind a `<tool_call>`. */
export interface CallReading {
  pieces: CallPiece[];
  /** So much of the text is done with; the rest is to be given again, with what follows it. */
  length: number;
  /** `refused`: not a call after all. All text up to `length`, its markers included, is text. */
  outcome: "open" | "closed" | "refused";
}

/** Reads one block, in one of the forms that Qwen models write calls in. */
export interface ToolCallBlock {
  /** `text` follows what earlier readings were done with. */
  read(text: string): CallReading;
}

/** Behind the arguments: all up to `</tool_call>` belongs to the form. A model that forgot it may open another block. */
export function readCallTail(text: string): Omit<CallReading, "pieces"> {
  const close = text.indexOf(CALL_CLOSE);
  const open = text.indexOf(CALL_OPEN);
  if (close !== -1 && (open === -1 || close < open)) {
    return { length: close + CALL_CLOSE.length, outcome: "closed" };
  }
  if (open !== -1) return { length: open, outcome: "closed" };
  return { length: text.length - heldPrefixLength(text, [CALL_CLOSE, CALL_OPEN]), outcome: "open" };
}
