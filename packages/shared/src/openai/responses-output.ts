import type { GeneratedChoice, TokenLogprob, ToolCall } from "../contract/generation.ts";
import { itemIdOf } from "./response-id.ts";

/** `incomplete`: the response ended within it. */
export type ItemStatus = "in_progress" | "completed" | "incomplete";

export interface ReasoningItem {
  id: string;
  type: "reasoning";
  status: ItemStatus;
  /** Always empty: the thoughts themselves are in `content`. */
  summary: [];
  content: ReasoningText[];
}
export interface ReasoningText {
  type: "reasoning_text";
  text: string;
}

export interface MessageItem {
  id: string;
  type: "message";
  status: ItemStatus;
  role: "assistant";
  content: OutputText[];
}
export interface OutputText {
  type: "output_text";
  text: string;
  annotations: [];
  logprobs: OutputLogprob[];
}
export interface OutputLogprob {
  token: string;
  logprob: number;
  bytes: number[];
  top_logprobs: { token: string; logprob: number; bytes: number[] }[];
}

export interface FunctionCallItem {
  id: string;
  type: "function_call";
  status: ItemStatus;
  call_id: string;
  name: string;
  /** JSON, as the model wrote it. */
  arguments: string;
}

export type OutputItem = ReasoningItem | MessageItem | FunctionCallItem;

/** What a job has said, as items: its reasoning, its words, its calls. @param cutOff it ended in the middle of the last one. */
export function outputItemsOf(
  jobId: string,
  result: GeneratedChoice,
  { cutOff }: { cutOff: boolean },
): OutputItem[] {
  const { reasoning, text, logprobs, toolCalls } = result;
  const items = [
    ...(reasoning === "" ? [] : [reasoningItem(itemIdOf(jobId, "reasoning", 0), reasoning)]),
    ...(text === "" ? [] : [messageItem(itemIdOf(jobId, "message", 0), text, logprobs ?? [])]),
    ...toolCalls.map((call, index) => functionCallItem(itemIdOf(jobId, "function_call", index), call)),
  ];
  const last = items.at(-1);
  if (cutOff && last !== undefined) last.status = "incomplete";
  return items;
}

export function reasoningItem(id: string, text: string): ReasoningItem {
  return { id, type: "reasoning", status: "completed", summary: [], content: [reasoningText(text)] };
}

export function reasoningText(text: string): ReasoningText {
  return { type: "reasoning_text", text };
}

export function messageItem(id: string, text: string, logprobs: readonly TokenLogprob[]): MessageItem {
  const content = [outputText(text, logprobs)];
  return { id, type: "message", status: "completed", role: "assistant", content };
}

export function outputText(text: string, logprobs: readonly TokenLogprob[]): OutputText {
  return { type: "output_text", text, annotations: [], logprobs: logprobs.map(toOutputLogprob) };
}

export function functionCallItem(
  id: string,
  { id: callId, function: { name, arguments: written } }: Pick<ToolCall, "id" | "function">,
): FunctionCallItem {
  return { id, type: "function_call", status: "completed", call_id: callId, name, arguments: written };
}

export function toOutputLogprob({ top, ...own }: TokenLogprob): OutputLogprob {
  return { ...own, top_logprobs: top };
}
