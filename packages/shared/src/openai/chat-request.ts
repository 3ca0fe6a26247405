import { QuernError } from "../contract/errors.ts";
import type { GenerationRequest, OutputFormat } from "../contract/generation.ts";
import type { JobClass } from "../contract/job.ts";
import { type ChatBody, chatBodySchema } from "./chat-body-schema.ts";
import { thinkingOf } from "./chat-thinking.ts";
import { toolsOf } from "./chat-tools.ts";
import { parseOrRefuse } from "./first-fault.ts";
import { refuseUnboundedSchema } from "./json-schema-bounds.ts";
import { classOfTier } from "./service-tier.ts";
import { toTemplateMessages } from "./template-messages.ts";
import { type DrawSeed, type StreamWish, streamWishOf, textRequestOf } from "./text-body.ts";
import { refuseUnstorable } from "./unstorable.ts";
import { refuseMedia, refuseUnsupported } from "./unsupported.ts";

export interface ChatRequest extends StreamWish {
  model: string;
  class: JobClass;
  /** Its caller asks for the job, not for the answer, unless it streams. */
  background: boolean;
  /** The job runs on when its caller hangs up, as it does in the background. */
  store: boolean;
  generation: GenerationRequest;
}

/**
 * Translates an OpenAI chat body. null counts as absent, as OpenAI's own clients send it.
 * @throws QuernError `invalid_request` or `unsupported_parameter`, with the field at fault.
 */
export function parseChatRequest(input: unknown, { drawSeed }: { drawSeed: DrawSeed }): ChatRequest {
  refuseMedia(input);
  const body = parseOrRefuse(chatBodySchema, input);
  refuseUnstorable(body);
  refuseUnsupported(body);
  return {
    model: body.model,
    class: classOfTier(body.service_tier),
    background: body.background ?? false,
    store: body.store ?? false,
    ...streamWishOf(body),
    generation: {
      completion: null,
      messages: toTemplateMessages(body.messages),
      ...toolsOf(body),
      ...thinkingOf(body),
      ...textRequestOf(body, drawSeed),
      maxTokens: maxTokensOf(body),
      format: formatOf(body),
      topLogprobs: topLogprobsOf(body),
    },
  };
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
