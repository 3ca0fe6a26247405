import { QuernError } from "../contract/errors.ts";
import type { TemplateMessage, TemplateTool } from "../contract/generation.ts";
import type { ChatMessage, ChatTool, ChatToolCall } from "./chat-body-schema.ts";

/**
 * OpenAI's messages in the form that chat templates read.
 * @throws QuernError `invalid_request` for an assistant's message that says and calls nothing.
 */
export function toTemplateMessages(messages: ChatMessage[]): TemplateMessage[] {
  return messages.map(toTemplateMessage);
}

function toTemplateMessage(message: ChatMessage, position: number): TemplateMessage {
  const name = given({ name: message.name });
  const content = textOf(message.content);
  switch (message.role) {
    case "system":
    case "developer":
      return { role: "system", content, ...name };
    case "user":
      return { role: "user", content, ...name };
    case "tool":
      return { role: "tool", content, ...given({ tool_call_id: message.tool_call_id }), ...name };
    case "assistant":
      refuseEmpty(message, position);
      return {
        role: "assistant",
        content,
        ...given({ reasoning_content: message.reasoning_content }),
        ...(message.tool_calls?.length ? { tool_calls: message.tool_calls.map(toTemplateCall) } : {}),
        ...name,
      };
  }
}

export function toTemplateTool({ function: { name, description, parameters } }: ChatTool): TemplateTool {
  return { type: "function", function: { name, ...given({ description }), ...given({ parameters }) } };
}

function toTemplateCall({
  id,
  function: called,
}: ChatToolCall): NonNullable<TemplateMessage["tool_calls"]>[number] {
  return { ...given({ id }), type: "function", function: called };
}

function refuseEmpty(message: Extract<ChatMessage, { role: "assistant" }>, position: number): void {
  const { content, reasoning_content: reasoning, tool_calls: calls } = message;
  if (typeof content === "string" || Array.isArray(content) || reasoning || calls?.length) return;
  const param = `messages[${position}].content`;
  throw new QuernError("invalid_request", `${param}: an assistant's message needs content or tool_calls`, {
    param,
  });
}

function textOf(content: ChatMessage["content"]): string {
  if (typeof content === "string") return content;
  return (content ?? []).map(({ text }) => text).join("");
}

/** The one field, or none when it is null or absent. */
function given<Field extends string, Value>(
  field: Record<Field, Value | null | undefined>,
): Partial<Record<Field, Value>> {
  return Object.fromEntries(
    Object.entries(field).filter(([, value]) => value !== null && value !== undefined),
  ) as Partial<Record<Field, Value>>;
}
