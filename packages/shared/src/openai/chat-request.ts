import { QuernError } from "../contract/errors.ts";
import type { GenerationRequest, Sampling } from "../contract/generation.ts";
import { type ChatBody, chatBodySchema } from "./chat-body-schema.ts";
import { parseOrRefuse } from "./first-fault.ts";
import { toTemplateMessages, toTemplateTool } from "./template-messages.ts";
import { refuseUnstorable } from "./unstorable.ts";
import { refuseMedia, refuseUnsupported } from "./unsupported.ts";

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
  refuseMedia(input);
  const body = parseOrRefuse(chatBodySchema, input);
  refuseUnstorable(body);
  refuseUnsupported(body);
  return {
    model: body.model,
    stream: body.stream ?? false,
    includeUsage: body.stream_options?.include_usage ?? false,
    generation: {
      messages: toTemplateMessages(body.messages),
      tools: body.tool_choice === "none" ? [] : (body.tools ?? []).map(toTemplateTool),
      templateOptions: templateOptionsOf(body),
      sampling: samplingOf(body),
      seed: body.seed === null || body.seed === undefined ? drawSeed() : Math.abs(body.seed),
      maxTokens: maxTokensOf(body),
      stop: typeof body.stop === "string" ? [body.stop] : (body.stop ?? []),
    },
  };
}

/** A null is left out: to a template it would be a value. */
function templateOptionsOf(body: ChatBody): GenerationRequest["templateOptions"] {
  const given = { enable_thinking: body.enable_thinking, ...body.chat_template_kwargs };
  return Object.fromEntries(
    Object.entries(given).filter(([, value]) => value !== null && value !== undefined),
  );
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
