import { QuernError } from "../contract/errors.ts";
import type { GenerationRequest, Sampling, TemplateMessage } from "../contract/generation.ts";
import { type ChatBody, type ChatMessage, chatBodySchema } from "./chat-body-schema.ts";
import { parseOrRefuse } from "./first-fault.ts";
import { refuseUnsupported } from "./unsupported.ts";

export interface ChatRequest {
  model: string;
  stream: boolean;
  /** A last chunk with the usage, when streaming. */
  includeUsage: boolean;
  generation: GenerationRequest;
}

export interface ChatRequestOptions {
  /** Called when the caller gave no seed: a second attempt must sample like the first. */
  drawSeed: () => number;
}

/**
 * Translates an OpenAI chat body. null counts as absent, as OpenAI's own clients send it.
 * @throws QuernError `invalid_request` or `unsupported_parameter`, with the field at fault.
 */
export function parseChatRequest(input: unknown, { drawSeed }: ChatRequestOptions): ChatRequest {
  const body = parseOrRefuse(chatBodySchema, input);
  refuseUnsupported(body);
  return {
    model: body.model,
    stream: body.stream ?? false,
    includeUsage: body.stream_options?.include_usage ?? false,
    generation: {
      messages: body.messages.map(toTemplateMessage),
      tools: body.tool_choice === "none" ? [] : (body.tools ?? []),
      templateOptions: templateOptionsOf(body),
      sampling: samplingOf(body),
      seed: body.seed === null || body.seed === undefined ? drawSeed() : Math.abs(body.seed),
      maxTokens: maxTokensOf(body),
      stop: typeof body.stop === "string" ? [body.stop] : (body.stop ?? []),
    },
  };
}

function toTemplateMessage(message: ChatMessage): TemplateMessage {
  const content = textOf(message.content);
  switch (message.role) {
    case "system":
    case "developer":
      return { role: "system", content };
    case "user":
      return { role: "user", content };
    case "tool": {
      const id = message.tool_call_id;
      return { role: "tool", content, ...(typeof id === "string" ? { tool_call_id: id } : {}) };
    }
    case "assistant": {
      const { reasoning_content: reasoning, tool_calls: calls } = message;
      return {
        role: "assistant",
        content,
        ...(typeof reasoning === "string" ? { reasoning_content: reasoning } : {}),
        ...(calls && calls.length > 0 ? { tool_calls: calls.map(({ index: _, ...call }) => call) } : {}),
      };
    }
  }
}

function textOf(content: ChatMessage["content"]): string {
  if (typeof content === "string") return content;
  return (content ?? []).map(({ text }) => text).join("");
}

function templateOptionsOf(body: ChatBody): GenerationRequest["templateOptions"] {
  const thinking = body.enable_thinking;
  return {
    ...(typeof thinking === "boolean" ? { enable_thinking: thinking } : {}),
    ...body.chat_template_kwargs,
  };
}

function samplingOf({ temperature, top_p, top_k, min_p }: ChatBody): Sampling {
  return {
    ...(typeof temperature === "number" ? { temperature } : {}),
    ...(typeof top_p === "number" ? { topP: top_p } : {}),
    ...(typeof top_k === "number" ? { topK: top_k } : {}),
    ...(typeof min_p === "number" ? { minP: min_p } : {}),
  };
}

/** `max_completion_tokens` is the newer name of `max_tokens`. */
function maxTokensOf(body: ChatBody): number | null {
  const older = body.max_tokens ?? null;
  const newer = body.max_completion_tokens ?? null;
  if (older !== null && newer !== null && older !== newer) {
    throw new QuernError(
      "invalid_request",
      `max_tokens (${older}) and max_completion_tokens (${newer}) differ: give one of them`,
      { param: "max_completion_tokens" },
    );
  }
  return newer ?? older;
}
