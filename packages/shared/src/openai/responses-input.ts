import { QuernError } from "../contract/errors.ts";
import type { TemplateMessage } from "../contract/generation.ts";
import type { InputItem, TextPart } from "./responses-items-schema.ts";

/** What stands between system messages that are made one. */
const PARAGRAPH = "\n\n";

/**
 * A response's `input` in the form that chat templates read. Items of one turn of the assistant, its reasoning, its words and
 * its calls, become the one message that they are to a template.
 * @throws QuernError `unsupported_parameter` for reasoning that only another service can read.
 */
export function messagesOfInput(input: string | readonly InputItem[]): TemplateMessage[] {
  if (typeof input === "string") return [{ role: "user", content: input }];
  const messages: TemplateMessage[] = [];
  for (const [position, item] of input.entries()) {
    switch (item.type) {
      case "message":
        addMessage(messages, item);
        break;
      case "reasoning":
        messages.push({ role: "assistant", content: "", reasoning_content: thoughtsOf(item, position) });
        break;
      case "function_call":
        addCall(messages, item);
        break;
      case "function_call_output":
        messages.push({ role: "tool", content: textOf(item.output), tool_call_id: item.call_id });
    }
  }
  return messages;
}

/**
 * Puts the instructions in front. Templates of newer models take one system message, at the beginning: those that stand
 * there are joined.
 */
export function withInstructions(
  instructions: string | null,
  messages: readonly TemplateMessage[],
): TemplateMessage[] {
  const first = messages.findIndex(({ role }) => role !== "system");
  const leading = first === -1 ? messages : messages.slice(0, first);
  const texts = [...(instructions === null ? [] : [instructions]), ...leading.map(({ content }) => content)];
  const system = texts.length === 0 ? [] : [{ role: "system" as const, content: texts.join(PARAGRAPH) }];
  return [...system, ...messages.slice(leading.length)];
}

/** What `withInstructions` was given as messages, but for the joining of what leads them. */
export function withoutInstructions(
  instructions: string | null,
  messages: readonly TemplateMessage[],
): TemplateMessage[] {
  const [system, ...rest] = messages;
  if (instructions === null || system === undefined) return [...messages];
  if (system.content === instructions) return rest;
  return [{ ...system, content: system.content.slice(instructions.length + PARAGRAPH.length) }, ...rest];
}

type ItemOf<Type extends InputItem["type"]> = Extract<InputItem, { type: Type }>;

function addMessage(messages: TemplateMessage[], { role, content: given }: ItemOf<"message">): void {
  const content = textOf(given);
  const last = messages.at(-1);
  // What was thought before it, or called beside it, belongs to it.
  if (role === "assistant" && last?.role === "assistant" && last.content === "") last.content = content;
  else messages.push({ role: role === "developer" ? "system" : role, content });
}

function addCall(messages: TemplateMessage[], call: ItemOf<"function_call">): void {
  const { call_id: id, name, arguments: given } = call;
  let last = messages.at(-1);
  if (last?.role !== "assistant") {
    last = { role: "assistant", content: "" };
    messages.push(last);
  }
  last.tool_calls ??= [];
  last.tool_calls.push({ id, type: "function", function: { name, arguments: given } });
}

/** Models of services that show no thoughts show a summary of them, or what only they can read. */
function thoughtsOf(item: ItemOf<"reasoning">, position: number): string {
  const shown = item.content?.length ? item.content : (item.summary ?? []);
  if (shown.length === 0 && item.encrypted_content) {
    const param = `input[${position}].encrypted_content`;
    throw new QuernError(
      "unsupported_parameter",
      `${param}: only the service that encrypted this reasoning can read it: leave the item out`,
      { param },
    );
  }
  return shown.map(({ text }) => text).join("\n");
}

function textOf(content: string | readonly TextPart[]): string {
  if (typeof content === "string") return content;
  return content.map((part) => (part.type === "refusal" ? part.refusal : part.text)).join("");
}
