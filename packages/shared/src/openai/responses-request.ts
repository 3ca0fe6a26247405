import { QuernError } from "../contract/errors.ts";
import type { GenerationRequest, OutputFormat, TemplateMessage } from "../contract/generation.ts";
import type { JobClass } from "../contract/job.ts";
import { thinkingOf } from "./chat-thinking.ts";
import { parseOrRefuse } from "./first-fault.ts";
import { refuseUnboundedSchema } from "./json-schema-bounds.ts";
import { type ResponsesBody, responsesBodySchema } from "./responses-body-schema.ts";
import { echoOf, type ResponsesEcho } from "./responses-echo.ts";
import { messagesOfInput, withInstructions } from "./responses-input.ts";
import { toolsOfResponses } from "./responses-tools.ts";
import { refuseForeignKinds, refuseUnsupportedOfResponses } from "./responses-unsupported.ts";
import { classOfTier } from "./service-tier.ts";
import { type DrawSeed, textRequestOf } from "./text-body.ts";
import { refuseUnstorable } from "./unstorable.ts";

export interface ResponsesRequest {
  model: string;
  class: JobClass;
  stream: boolean;
  /** Its caller asks for the response as it is at once, unless it streams. */
  background: boolean;
  /** The job runs on when its caller hangs up, as it does in the background. */
  store: boolean;
  /** The response that this one goes on from: its messages come before those of `input`. */
  previousResponseId: string | null;
  echoed: ResponsesEcho;
  metadata: Record<string, string>;
  /** What is generated, after these messages where there are earlier ones. */
  generationAfter: (earlier: readonly TemplateMessage[]) => GenerationRequest;
}

/**
 * Translates an OpenAI response body. null counts as absent.
 * @throws QuernError `invalid_request` or `unsupported_parameter`, with the field at fault.
 */
export function parseResponsesRequest(
  input: unknown,
  { drawSeed }: { drawSeed: DrawSeed },
): ResponsesRequest {
  refuseForeignKinds(input);
  const body = parseOrRefuse(responsesBodySchema, input);
  refuseUnstorable(body);
  refuseUnsupportedOfResponses(body);
  const messages = messagesOfInput(body.input);
  const echoed = echoOf(body);
  const generation = {
    completion: null,
    ...toolsOfResponses(body),
    ...thinkingOf({ ...body, reasoning_effort: body.reasoning?.effort }, "reasoning.effort"),
    ...textRequestOf(body, drawSeed),
    maxTokens: body.max_output_tokens ?? null,
    format: formatOf(body),
    topLogprobs: topLogprobsOf(body),
  };
  return {
    model: body.model,
    class: classOfTier(body.service_tier),
    stream: body.stream ?? false,
    background: body.background ?? false,
    store: body.store ?? false,
    previousResponseId: body.previous_response_id ?? null,
    echoed,
    metadata: body.metadata ?? {},
    generationAfter: (earlier) => ({
      ...generation,
      messages: withInstructions(echoed.instructions, [...earlier, ...messages]),
    }),
  };
}

/** `name`, `description` and `strict` are left behind: the schema holds strictly in any case. */
function formatOf({ text }: ResponsesBody): OutputFormat {
  const format = text?.format;
  if (format?.type !== "json_schema") return format ?? { type: "text" };
  refuseUnboundedSchema(format.schema, ["text", "format", "schema"]);
  return { type: "json_schema", schema: format.schema };
}

function topLogprobsOf({ include, top_logprobs: top }: ResponsesBody): number | null {
  if (include?.includes("message.output_text.logprobs")) return top ?? 0;
  if (!top) return null;
  throw new QuernError(
    "invalid_request",
    "top_logprobs: needs 'message.output_text.logprobs' in include, where they are asked for",
    { param: "top_logprobs" },
  );
}
