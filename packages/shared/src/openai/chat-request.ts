import { QuernError } from "../contract/errors.ts";
import type { GenerationRequest, OutputFormat, Sampling } from "../contract/generation.ts";
import { type ChatBody, chatBodySchema } from "./chat-body-schema.ts";
import { thinkingOf } from "./chat-thinking.ts";
import { toolsOf } from "./chat-tools.ts";
import { parseOrRefuse } from "./first-fault.ts";
import { refuseUnboundedSchema } from "./json-schema-bounds.ts";
import { toTemplateMessages } from "./template-messages.ts";
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
      ...toolsOf(body),
      ...thinkingOf(body),
      sampling: samplingOf(body),
      seed: body.seed === null || body.seed === undefined ? drawSeed() : Math.abs(body.seed),
      maxTokens: maxTokensOf(body),
      stop: typeof body.stop === "string" ? [body.stop] : (body.stop ?? []),
      format: formatOf(body),
      logitBias: Object.entries(body.logit_bias ?? {}).map(([id, bias]) => ({ token: Number(id), bias })),
      topLogprobs: topLogprobsOf(body),
      choices: body.n ?? 1,
    },
  };
}

function samplingOf(body: ChatBody): Sampling {
  const given = {
    temperature: body.temperature,
    topP: body.top_p,
    topK: body.top_k,
    minP: body.min_p,
    presencePenalty: body.presence_penalty,
    frequencyPenalty: body.frequency_penalty,
    repetitionPenalty: body.repetition_penalty,
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => typeof value === "number"));
}

/** `name`, `description` and `strict` are left behind: the schema holds strictly in any case. */
function formatOf({ response_format: format }: ChatBody): OutputFormat {
  if (format?.type !== "json_schema") return format ?? { type: "text" };
  const { schema } = format.json_schema;
  refuseUnboundedSchema(schema, ["response_format", "json_schema", "schema"]);
  return { type: "json_schema", schema };
}

/** OpenAI refuses `top_logprobs` on its own too. */
function topLogprobsOf({ logprobs, top_logprobs: top }: ChatBody): number | null {
  if (logprobs) return top ?? 0;
  if (top === null || top === undefined) return null;
  throw new QuernError("invalid_request", "top_logprobs: needs logprobs to be true", {
    param: "top_logprobs",
  });
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
