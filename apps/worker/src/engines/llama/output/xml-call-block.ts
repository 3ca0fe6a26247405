import type { TemplateTool } from "@quern/shared/contract/generation";
import { type JsonType, parameterTypes, typeOf } from "../../../protocol/parameter-types.ts";
import { heldPrefixLength } from "./held-prefix.ts";
import {
  CALL_CLOSE,
  type CallPiece,
  type CallReading,
  readCallTail,
  type ToolCallBlock,
} from "./tool-call-block.ts";

const HEAD = /^\s*<function=([^>\n]+)>/;
/** Characters within which the name comes: it is looked for again and again. */
const MAX_HEAD = 1_024;
const PARAMETER_OPEN = "<parameter=";
const PARAMETER_CLOSE = "</parameter>";
const FUNCTION_CLOSE = "</function>";
/** What may follow a parameter: another one, or the end of the call. */
const PARAMETER_ENDS = [PARAMETER_OPEN, FUNCTION_CLOSE, CALL_CLOSE];

/**
 * The XML form of Qwen3-Coder: `<function=name>`, then a `<parameter=key>` block for each argument, its value between
 * line breaks. The arguments become a JSON object, one parameter at a time; the tool's schema says what is a text.
 */
export class XmlCallBlock implements ToolCallBlock {
  readonly #tools: readonly TemplateTool[];
  #stage: "head" | "parameters" | "tail" = "head";
  #parameters: unknown;
  #written = 0;
  /** Up to here the parameter that is being read has no end. */
  #searched = 0;

  constructor(tools: readonly TemplateTool[]) {
    this.#tools = tools;
  }

  read(text: string): CallReading {
    const pieces: CallPiece[] = [];
    let length = 0;
    if (this.#stage === "head") {
      const close = text.indexOf(CALL_CLOSE);
      const head = HEAD.exec(text.slice(0, close === -1 ? MAX_HEAD : Math.min(close, MAX_HEAD)));
      if (head === null) {
        if (close === -1) return { pieces, length, outcome: "open" };
        return { pieces, length: close + CALL_CLOSE.length, outcome: "refused" };
      }
      pieces.push({ kind: "name", name: this.#begin(head[1] ?? "") });
      length = head[0].length;
    }
    while (this.#stage === "parameters") {
      const step = this.#readParameter(text.slice(length), pieces);
      length += step.length;
      if (!step.decided) return { pieces, length, outcome: "open" };
    }
    const tail = readCallTail(text.slice(length));
    return { pieces, length: length + tail.length, outcome: tail.outcome };
  }

  #begin(name: string): string {
    const tool = this.#tools.find(({ function: { name: offered } }) => offered === name);
    this.#parameters = tool?.function.parameters;
    this.#stage = "parameters";
    return name;
  }

  /** One parameter, or the end of them; what stands between is not part of the form. */
  #readParameter(text: string, pieces: CallPiece[]): { length: number; decided: boolean } {
    const next = firstOf(text, PARAMETER_ENDS);
    if (next === null) {
      const held = heldPrefixLength(text, PARAMETER_ENDS);
      return { length: text.length - held, decided: false };
    }
    if (next.marker !== PARAMETER_OPEN) {
      pieces.push({ kind: "arguments", text: this.#written === 0 ? "{}" : "}" });
      this.#stage = "tail";
      return { length: next.at, decided: true };
    }
    const keyAt = next.at + PARAMETER_OPEN.length;
    const keyEnd = text.indexOf(">", keyAt);
    const close = keyEnd === -1 ? -1 : text.indexOf(PARAMETER_CLOSE, Math.max(keyEnd, this.#searched));
    if (close === -1) {
      this.#searched = text.length - next.at - PARAMETER_CLOSE.length;
      return { length: next.at, decided: false };
    }
    this.#searched = 0;
    const key = text.slice(keyAt, keyEnd);
    const value = text
      .slice(keyEnd + 1, close)
      .replace(/^\n/, "")
      .replace(/\n$/, "");
    const opening = this.#written === 0 ? "{" : ", ";
    const spelled = jsonSpelling(value, parameterTypes(this.#parameters, key));
    pieces.push({ kind: "arguments", text: `${opening}${JSON.stringify(key)}: ${spelled}` });
    this.#written += 1;
    return { length: close + PARAMETER_CLOSE.length, decided: true };
  }
}

function firstOf(text: string, markers: readonly string[]): { marker: string; at: number } | null {
  const begun = markers.find((marker) => text.startsWith(marker));
  if (begun !== undefined) return { marker: begun, at: 0 };
  const found = markers
    .map((marker) => ({ marker, at: text.indexOf(marker) }))
    .filter(({ at }) => at !== -1)
    .sort((a, b) => a.at - b.at);
  return found[0] ?? null;
}

/** The value as JSON of one of the types; a text where one may stand, or where it is none of them. */
function jsonSpelling(value: string, types: ReadonlySet<JsonType>): string {
  if (value === "null" && types.has("null")) return value;
  if (types.size > 0 && !types.has("string")) {
    const trimmed = value.trim();
    // The form's template shows values in Python's spelling, which models repeat.
    const spelled = PYTHON_SPELLINGS.get(trimmed) ?? trimmed;
    try {
      if (types.has(typeOf(JSON.parse(spelled)))) return spelled;
    } catch {
      // Not JSON: a text.
    }
  }
  return JSON.stringify(value);
}

const PYTHON_SPELLINGS = new Map([
  ["True", "true"],
  ["False", "false"],
  ["None", "null"],
]);
