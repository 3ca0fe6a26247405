import type { ToolCall } from "@quern/shared/contract/generation";
import { heldPrefixLength } from "./held-prefix.ts";
import { parseToolCall } from "./tool-call.ts";

export type OutputPart =
  | { kind: "text"; text: string }
  | { kind: "reasoning"; text: string }
  | { kind: "tool_call"; call: ToolCall };

export interface OutputParserOptions {
  /** `thinking`: the prompt itself opened the think block. `undecided`: the model may open one as its first word. */
  begin: "thinking" | "undecided" | "answering";
  /** Off when the request has no tools: then `<tool_call>` is text like any other. */
  toolCalls: boolean;
  toolCallId: (index: number) => string;
}

const THINK_OPEN = "<think>";
const THINK_CLOSE = "</think>";
const CALL_OPEN = "<tool_call>";
const CALL_CLOSE = "</tool_call>";

/**
 * Splits what a Qwen model writes into reasoning, content and tool calls, as the text arrives.
 *
 *   undecided ──"<think>"──▶ thinking ──"</think>"──▶ answering ◀──"</tool_call>"── calling
 *       └────anything else──────────────────────────▶ answering ───"<tool_call>"──▶ calling
 *
 * Line breaks around the blocks belong to the form, not to the text (Qwen's own templates strip them): they are
 * dropped around reasoning, and from content beside a think block or a tool call. Markers may arrive in pieces; what
 * could begin one is held until it is decided.
 */
export class OutputParser {
  readonly #options: OutputParserOptions;
  #state: "undecided" | "thinking" | "answering" | "calling";
  #held = "";
  /** Line breaks that are dropped at a boundary and kept before more text. */
  #breaks = "";
  /** The current part has no text yet, so line breaks before it are dropped. */
  #trimStart: boolean;
  #calls = 0;

  constructor(options: OutputParserOptions) {
    this.#options = options;
    this.#state = options.begin;
    this.#trimStart = options.begin !== "undecided";
  }

  get thinking(): boolean {
    return this.#state === "thinking";
  }

  push(text: string): OutputPart[] {
    this.#held += text;
    const parts: OutputPart[] = [];
    while (this.#advance(parts));
    return parts;
  }

  /** The model has ended: what was held is what it said. */
  end(): OutputPart[] {
    const rest = this.#held;
    const parts: OutputPart[] = [];
    this.#held = "";
    if (this.#state === "calling") this.#text(parts, CALL_OPEN + rest);
    else if (this.#state === "thinking") this.#reasoning(parts, rest);
    else this.#text(parts, rest);
    if (this.#state !== "thinking" && this.#calls === 0 && this.#breaks !== "") {
      parts.push({ kind: "text", text: this.#breaks });
    }
    this.#breaks = "";
    return parts;
  }

  /** One transition, or all the text that is decided; false when more input is needed. */
  #advance(parts: OutputPart[]): boolean {
    switch (this.#state) {
      case "undecided": {
        const begun = this.#held.trimStart();
        if (THINK_OPEN.startsWith(begun) && begun !== THINK_OPEN) return false;
        if (begun.startsWith(THINK_OPEN)) this.#enter("thinking", begun.slice(THINK_OPEN.length));
        else {
          this.#state = "answering";
          this.#trimStart = false;
        }
        return true;
      }
      case "thinking": {
        const at = this.#held.indexOf(THINK_CLOSE);
        this.#reasoning(parts, this.#take(at, [THINK_CLOSE]));
        if (at === -1) return false;
        this.#enter("answering", this.#held.slice(THINK_CLOSE.length));
        return true;
      }
      case "answering": {
        if (!this.#options.toolCalls) {
          this.#text(parts, this.#take(this.#held.length, []));
          return false;
        }
        const at = this.#held.indexOf(CALL_OPEN);
        this.#text(parts, this.#take(at, [CALL_OPEN]));
        if (at === -1) return false;
        this.#enter("calling", this.#held.slice(CALL_OPEN.length));
        return true;
      }
      case "calling": {
        const at = this.#held.indexOf(CALL_CLOSE);
        if (at === -1) return false;
        const block = this.#held.slice(0, at);
        this.#enter("answering", this.#held.slice(at + CALL_CLOSE.length));
        const call = parseToolCall(block, this.#options.toolCallId(this.#calls));
        if (call === null) this.#text(parts, CALL_OPEN + block + CALL_CLOSE);
        else {
          this.#calls += 1;
          parts.push({ kind: "tool_call", call });
        }
        return true;
      }
    }
  }

  /** Takes what is held up to `at`, or, when no marker was found (-1), all that can't begin one. */
  #take(at: number, markers: readonly string[]): string {
    const length = at === -1 ? this.#held.length - heldPrefixLength(this.#held, markers) : at;
    const text = this.#held.slice(0, length);
    this.#held = this.#held.slice(length);
    return text;
  }

  #enter(state: "thinking" | "answering" | "calling", held: string): void {
    this.#state = state;
    this.#held = held;
    this.#breaks = "";
    this.#trimStart = true;
  }

  #reasoning(parts: OutputPart[], text: string): void {
    const kept = this.#withoutOuterBreaks(text);
    if (kept !== "") parts.push({ kind: "reasoning", text: kept });
  }

  #text(parts: OutputPart[], text: string): void {
    const kept = this.#withoutOuterBreaks(text);
    if (kept !== "") parts.push({ kind: "text", text: kept });
  }

  #withoutOuterBreaks(text: string): string {
    const begun = this.#breaks + text;
    const seen = this.#trimStart ? begun.replace(/^\n+/, "") : begun;
    const kept = seen.replace(/\n+$/, "");
    this.#breaks = seen.slice(kept.length);
    if (kept !== "") this.#trimStart = false;
    return kept;
  }
}
