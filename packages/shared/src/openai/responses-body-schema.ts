import { z } from "zod";
import { metadataSchema } from "../contract/job.ts";
import { textFormat, thinkingFields, toolName } from "./chat-body-schema.ts";
import { REASONING_EFFORTS } from "./reasoning-effort.ts";
import { inputItem } from "./responses-items-schema.ts";
import { serviceTier } from "./service-tier.ts";
import { accepted, nonEmpty, textFields } from "./text-body.ts";

/**
 * The body of OpenAI's `POST /v1/responses`, as far as Quern carries it out, with the fields for sampling and thinking that
 * `/v1/chat/completions` has beyond OpenAI's. What each does stands in `docs/responses.md`.
 * https://platform.openai.com/docs/api-reference/responses/create
 */

const { max_tokens: _maxTokens, n: _choices, ...sampling } = textFields;

const functionTool = z.object({
  type: z.literal("function"),
  name: toolName,
  description: z.string().nullish(),
  /** A JSON schema. */
  parameters: z.record(z.string(), z.unknown()).nullish(),
  strict: z.boolean().nullish(),
});
export type FunctionTool = z.infer<typeof functionTool>;

const namedFunction = z.object({ type: z.literal("function"), name: nonEmpty });
const toolChoice = z.union(
  [
    z.enum(["auto", "none", "required"]),
    namedFunction,
    z.object({
      type: z.literal("allowed_tools"),
      mode: z.enum(["auto", "required"]),
      tools: z.array(namedFunction).min(1, "needs at least one tool"),
    }),
  ],
  {
    error:
      "must be 'auto', 'none', 'required', {type: 'function', name: '…'}, or {type: 'allowed_tools', mode: …, tools: [{type: 'function', name: '…'}]}",
  },
);
export type AskedToolChoice = z.infer<typeof toolChoice>;

/** What may be added to output items. Those of tools that Quern has not add nothing, as no such item comes. */
const INCLUDABLE = [
  "message.output_text.logprobs",
  "reasoning.encrypted_content",
  "file_search_call.results",
  "web_search_call.results",
  "web_search_call.action.sources",
  "message.input_image.image_url",
  "computer_call_output.output.image_url",
  "code_interpreter_call.outputs",
] as const;

export const responsesBodySchema = z.strictObject({
  model: nonEmpty,
  input: z.union([nonEmpty, z.array(inputItem).min(1, "needs at least one item")], {
    error: "must be a string, or an array of items such as {role: 'user', content: '…'}",
  }),
  instructions: z.string().nullish(),
  previous_response_id: z.string().nullish(),

  tools: z.array(functionTool).nullish(),
  tool_choice: toolChoice.nullish(),
  parallel_tool_calls: z.boolean().nullish(),

  ...sampling,
  max_output_tokens: z.int().positive().nullish(),
  top_logprobs: z.int().min(0).max(20).nullish(),
  include: z.array(z.enum(INCLUDABLE)).nullish(),

  text: z
    .strictObject({ format: textFormat.nullish(), verbosity: z.enum(["low", "medium", "high"]).nullish() })
    .nullish(),
  reasoning: z
    .strictObject({
      effort: z.enum(REASONING_EFFORTS).nullish(),
      summary: accepted,
      generate_summary: accepted,
      context: accepted,
    })
    .nullish(),
  ...thinkingFields,

  /** Whether the caller waits, and whether its hanging up cancels: `docs/responses.md`. */
  background: z.boolean().nullish(),
  store: z.boolean().nullish(),
  service_tier: serviceTier,
  metadata: metadataSchema.nullish(),

  // Carried out in one way only; `responses-unsupported.ts` refuses the others.
  truncation: z.enum(["auto", "disabled"]).nullish(),
  conversation: z.unknown().optional(),
  prompt: z.unknown().optional(),
  context_management: z.unknown().optional(),
  moderation: z.unknown().optional(),

  // Accepted and without effect: they bear on built-in tools, billing, caching or safety of a hosted service.
  max_tool_calls: z.int().positive().nullish(),
  user: z.string().nullish(),
  safety_identifier: z.string().nullish(),
  prompt_cache_key: z.string().nullish(),
  prompt_cache_retention: accepted,
  prompt_cache_options: accepted,
});

export type ResponsesBody = z.infer<typeof responsesBodySchema>;
