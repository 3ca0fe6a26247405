import type { TokenLogprob, ToolCallDelta } from "../contract/generation.ts";
import { itemIdOf } from "./response-id.ts";
import {
  functionCallItem,
  type ItemStatus,
  messageItem,
  type OutputItem,
  outputText,
  reasoningItem,
  reasoningText,
  toOutputLogprob,
} from "./responses-output.ts";
import type { NewPart } from "./sent-choice.ts";

/** An event of a response's stream that has no number yet. */
export interface UnnumberedEvent {
  type: string;
  [field: string]: unknown;
}

type SaidPart = Exclude<NewPart, { kind: "end" }>;

interface OpenText {
  kind: "reasoning" | "message";
  id: string;
  text: string;
  logprobs: TokenLogprob[];
}
interface OpenCall {
  kind: "function_call";
  id: string;
  index: number;
  callId: string;
  name: string;
  arguments: string;
}

/**
 * The output of a response as its stream tells it: one item after the other, each opened, added to and closed. At most one is
 * open, the last:
 *
 *   (output_item.added, content_part.added, delta…, done, content_part.done, output_item.done)*
 *
 * A part of another kind, or of another call, closes the open item.
 */
export class StreamedItems {
  readonly #jobId: string;
  #open: OpenText | OpenCall | null = null;
  /** Of the open item, or of the next where none is. */
  #outputIndex = 0;
  readonly #opened = { reasoning: 0, message: 0, function_call: 0 };
  /** How often all that was said has been dropped. */
  #superseded = 0;
  #done: OutputItem[] = [];

  constructor(jobId: string) {
    this.#jobId = jobId;
  }

  /** The closed items that stand. */
  get output(): OutputItem[] {
    return [...this.#done];
  }

  add(part: SaidPart): UnnumberedEvent[] {
    if (part.kind === "tool_call") return this.#addCall(part.call);
    const logprobs = part.kind === "text" ? part.logprobs : [];
    return this.#addText(part.kind === "text" ? "message" : "reasoning", part.text, logprobs);
  }

  close(status: ItemStatus): UnnumberedEvent[] {
    const open = this.#open;
    if (open === null) return [];
    const item = { ...itemOf(open), status };
    this.#done.push(item);
    const events = [...this.#lastWords(open), this.#event("output_item.done", { item })];
    this.#open = null;
    this.#outputIndex += 1;
    return events;
  }

  /** What was said does not stand: what follows is said in items of its own. */
  supersede(): UnnumberedEvent[] {
    const events = this.close("incomplete");
    this.#done = [];
    this.#superseded += 1;
    return events;
  }

  #addText(kind: OpenText["kind"], text: string, logprobs: TokenLogprob[]): UnnumberedEvent[] {
    const events: UnnumberedEvent[] = [];
    let open = this.#open;
    if (open?.kind !== kind) {
      events.push(...this.close("completed"));
      open = { kind, id: this.#newId(kind), text: "", logprobs: [] };
      events.push(...this.#begin(open));
    }
    open.text += text;
    open.logprobs.push(...logprobs);
    const spelled = kind === "message" ? { logprobs: logprobs.map(toOutputLogprob) } : {};
    return [...events, this.#inPart(open, `${nameOf(kind)}.delta`, { delta: text, ...spelled })];
  }

  #addCall({
    index,
    id = "",
    function: { name = "", arguments: piece = "" },
  }: ToolCallDelta): UnnumberedEvent[] {
    const events: UnnumberedEvent[] = [];
    let open = this.#open;
    if (open?.kind !== "function_call" || open.index !== index) {
      events.push(...this.close("completed"));
      // Clients take two calls of one id for one.
      const callId = this.#superseded === 0 ? id : `${id}_${this.#superseded}`;
      open = { kind: "function_call", id: this.#newId("function_call"), index, callId, name, arguments: "" };
      events.push(...this.#begin(open));
    }
    if (piece === "") return events;
    open.arguments += piece;
    return [...events, this.#ofItem(open, "function_call_arguments.delta", { delta: piece })];
  }

  #begin(open: OpenText | OpenCall): UnnumberedEvent[] {
    this.#open = open;
    const item = itemOf(open);
    const unwritten = { ...item, status: "in_progress", ...("content" in item ? { content: [] } : {}) };
    const added = this.#event("output_item.added", { item: unwritten });
    if (open.kind === "function_call") return [added];
    return [added, this.#inPart(open, "content_part.added", { part: partOf(open) })];
  }

  /** All that was said in an item, once more and whole. */
  #lastWords(open: OpenText | OpenCall): UnnumberedEvent[] {
    if (open.kind === "function_call") {
      const { name, arguments: written } = open;
      return [this.#ofItem(open, "function_call_arguments.done", { name, arguments: written })];
    }
    const spelled = open.kind === "message" ? { logprobs: open.logprobs.map(toOutputLogprob) } : {};
    return [
      this.#inPart(open, `${nameOf(open.kind)}.done`, { text: open.text, ...spelled }),
      this.#inPart(open, "content_part.done", { part: partOf(open) }),
    ];
  }

  #newId(kind: OutputItem["type"]): string {
    return itemIdOf(this.#jobId, kind, this.#opened[kind]++);
  }

  /** Items have one part of content. */
  #inPart(open: OpenText, name: string, fields: object): UnnumberedEvent {
    return this.#ofItem(open, name, { content_index: 0, ...fields });
  }

  #ofItem({ id }: OpenText | OpenCall, name: string, fields: object): UnnumberedEvent {
    return this.#event(name, { item_id: id, ...fields });
  }

  #event(name: string, fields: object): UnnumberedEvent {
    return { type: `response.${name}`, output_index: this.#outputIndex, ...fields };
  }
}

function nameOf(kind: OpenText["kind"]): string {
  return kind === "reasoning" ? "reasoning_text" : "output_text";
}

function itemOf(open: OpenText | OpenCall): OutputItem {
  switch (open.kind) {
    case "reasoning":
      return reasoningItem(open.id, open.text);
    case "message":
      return messageItem(open.id, open.text, open.logprobs);
    case "function_call":
      return functionCallItem(open.id, { id: open.callId, function: open });
  }
}

function partOf({ kind, text, logprobs }: OpenText): object {
  return kind === "reasoning" ? reasoningText(text) : outputText(text, logprobs);
}
