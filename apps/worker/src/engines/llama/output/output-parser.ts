import type { TemplateTool, ToolCallDelta } from "@quern/shared/contract/generation";
import type { OutputBegin, ToolCallForm } from "../../../protocol/prepared-request.ts";
import { heldPrefixLength } from "./held-prefix.ts";
import { HermesCallBlock } from "./hermes-call-block.ts";
import { CALL_OPEN, type CallPiece, type ToolCallBlock } from "./tool-call-block.ts";
import { XmlCallBlock } from "./xml-call-block.ts";

/** `from` and `to` tell where a part stands in the raw output, in characters. */
export type OutputPart =
  | { kind: "text"; text: string; from: number }
  | { kind: "reasoning"; text: string; to: number }
  | { kind: "tool_call"; call: ToolCallDelta; to: number };

/** `undecided`: what came so far may yet open a think block. */
export type OutputPhase = "undecided" | "thinking" | "answering" | "calling";

export interface OutputParserOptions {
  begin: OutputBegin;
  /** Without any, `<tool_call>` is text like any other. */
  tools: readonly TemplateTool[];
  toolCallForm: ToolCallForm;
  toolCallId: (index: number) => string;
}

const THINK_OPEN = "<think>";
const THINK_CLOSE = "</think>";
/** Characters within which a model's first word comes, with the blanks before it. */
const MAX_OPENING = 256;

/**
 * Splits what a Qwen model writes into reasoning, content and tool calls, as the text arrives.
 *
 *   undecided ──"<think>"──▶ thinking ──"</think>"──▶ answering ◀──"</tool_call>"── calling
 *       └────anything else──────────────────────────▶ answering ───"<tool_call>"──▶ calling
 *
 * A call comes out as it is written; what turns out to be none before its arguments begin is text.
 * Line breaks around the blocks belong to the form, not to the text (Qwen's own templates strip them): they are
 * dropped around reasoning, and from content beside a think block or a tool call. Markers may arrive in pieces; what
 * could begin one is held until it is decided.
 */
export class OutputParser {
  readonly #options: OutputParserOptions;
  #state: OutputPhase;
  #held = "";
  #outputLength = 0;
  /** Line breaks that are dropped at a boundary and kept before more text. */
  #breaks = "";
  /** The current part has no text yet, so line breaks before it are dropped. */
  #trimStart: boolean;
  /** The block being read, while calling. */
  #block: ToolCallBlock | null = null;
  /** Calls whose name is known. */
  #calls = 0;
  /** How many there were when the current block began. */
  #callsBefore = 0;

  constructor(options: OutputParserOptions) {
    this.#options = options;
    this.#state = options.begin === "verbatim" ? "answering" : options.begin;
    this.#trimStart = options.begin === "thinking" || options.begin === "answering";
  }

  get phase(): OutputPhase {
    return this.#state;
  }

  push(text: string): OutputPart[] {
    this.#held += text;
    this.#outputLength += text.length;
    const parts: OutputPart[] = [];
    while (this.#advance(parts));
    return parts;
  }

  /** The model has ended: what was held is what it said. */
  end(): OutputPart[] {
    const rest = this.#held;
    const parts: OutputPart[] = [];
    this.#held = "";
    if (this.#state === "thinking") this.#reasoning(parts, rest);
    else if (this.#state !== "calling") this.#text(parts, rest);
    else if (this.#calls === this.#callsBefore) this.#text(parts, CALL_OPEN + rest);
    if (this.#state !== "thinking" && this.#calls === 0 && this.#breaks !== "") {
      const from = this.#outputLength - this.#breaks.length;
      parts.push({ kind: "text", text: this.#breaks, from });
    }
    this.#breaks = "";
    return parts;
  }

  /** One transition, or all the text that is decided; false when more input is needed. */
  #advance(parts: OutputPart[]): boolean {
    switch (this.#state) {
      case "undecided": {
        const begun = this.#held.slice(0, MAX_OPENING).trimStart();
        if (begun.startsWith(THINK_OPEN)) {
          this.#enter("thinking", this.#held.trimStart().slice(THINK_OPEN.length));
        } else if (THINK_OPEN.startsWith(begun) && this.#held.length < MAX_OPENING) return false;
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
        if (this.#options.tools.length === 0) {
          this.#text(parts, this.#take(this.#held.length, []));
          return false;
        }
        const at = this.#held.indexOf(CALL_OPEN);
        this.#text(parts, this.#take(at, [CALL_OPEN]));
        if (at === -1) return false;
        this.#enter("calling", this.#held.slice(CALL_OPEN.length));
        this.#block = newBlock(this.#options);
        this.#callsBefore = this.#calls;
        return true;
      }
      case "calling":
        return this.#advanceCall(parts, this.#block as ToolCallBlock);
    }
  }

  #advanceCall(parts: OutputPart[], block: ToolCallBlock): boolean {
    const { pieces, length, outcome } = block.read(this.#held);
    const read = this.#held.slice(0, length);
    this.#held = this.#held.slice(length);
    const to = this.#outputLength - this.#held.length;
    for (const piece of pieces) parts.push({ kind: "tool_call", call: this.#toDelta(piece), to });
    if (outcome === "open") return false;
    this.#enter("answering", this.#held);
    if (outcome === "refused") this.#text(parts, CALL_OPEN + read);
    return true;
  }

  #toDelta(piece: CallPiece): ToolCallDelta {
    if (piece.kind === "arguments") {
      return { index: this.#calls - 1, function: { arguments: piece.text } };
    }
    const index = this.#calls;
    this.#calls += 1;
    const id = this.#options.toolCallId(index);
    return { index, id, type: "function", function: { name: piece.name, arguments: "" } };
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
    if (kept !== "") parts.push({ kind: "reasoning", text: kept, to: this.#keptTo() });
  }

  #text(parts: OutputPart[], text: string): void {
    const kept = this.#withoutOuterBreaks(text);
    if (kept !== "") parts.push({ kind: "text", text: kept, from: this.#keptTo() - kept.length });
  }

  /** Where what was just kept ends: breaks and what is held stand behind it. */
  #keptTo(): number {
    return this.#outputLength - this.#held.length - this.#breaks.length;
  }

  #withoutOuterBreaks(text: string): string {
    let [from, to] = [0, text.length];
    while (to > 0 && text[to - 1] === "\n") to -= 1;
    if (to === 0) {
      if (!this.#trimStart) this.#breaks += text;
      return "";
    }
    while (this.#trimStart && text[from] === "\n") from += 1;
    const kept = this.#breaks + text.slice(from, to);
    this.#breaks = text.slice(to);
    this.#trimStart = false;
    return kept;
  }
}

function newBlock({ toolCallForm, tools }: OutputParserOptions): ToolCallBlock {
  switch (toolCallForm) {
    case "hermes":
      return new HermesCallBlock();
    case "xml":
      return new XmlCallBlock(tools);
  }
}
