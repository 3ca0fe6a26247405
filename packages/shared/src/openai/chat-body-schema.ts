import { z } from "zod";

/**
 * The body of OpenAI's `POST /v1/chat/completions`, as far as Quern carries it out, with the fields that other servers
 * of Qwen models add (`top_k`, `min_p`, `enable_thinking`, `chat_template_kwargs`, `reasoning_content`).
 * https://platform.openai.com/docs/api-reference/chat/create
 */

const nonEmpty = z.string().min(1, "must not be empty");

const textPart = z.object({ type: z.literal("text"), text: z.string() });
const content = z.union([z.string(), z.array(textPart)], {
  error: "must be a string, or an array of parts of the form {type: 'text', text: '…'}",
});

/** `arguments` may be JSON text, as OpenAI has it, or an object. `index` is left from a stream's deltas. */
const toolCall = z.object({
  id: z.string().nullish(),
  type: z.literal("function").nullish(),
  index: z.int().nullish(),
  function: z.object({
    name: z.string(),
    arguments: z.union([z.string(), z.record(z.string(), z.unknown())], {
      error: "must be JSON text or an object",
    }),
  }),
});

const tool = z.object({
  type: z.literal("function"),
  function: z.object({
    name: nonEmpty,
    description: z.string().nullish(),
    /** A JSON schema. */
    parameters: z.record(z.string(), z.unknown()).nullish(),
    strict: z.boolean().nullish(),
  }),
});

const name = z.string().nullish();

const messageSchema = z.discriminatedUnion(
  "role",
  [
    z.object({ role: z.literal("system"), content, name }),
    z.object({ role: z.literal("developer"), content, name }),
    z.object({ role: z.literal("user"), content, name }),
    z.object({
      role: z.literal("assistant"),
      content: content.nullish(),
      reasoning_content: z.string().nullish(),
      tool_calls: z.array(toolCall).nullish(),
      refusal: z.string().nullish(),
      name,
    }),
    z.object({ role: z.literal("tool"), content, tool_call_id: z.string().nullish(), name }),
  ],
  { error: roleError },
);

const accepted = z.unknown().optional();

export const chatBodySchema = z.strictObject({
  model: nonEmpty,
  messages: z.array(messageSchema).min(1, "needs at least one message"),
  tools: z.array(tool).nullish(),
  tool_choice: z.unknown().optional(),

  max_tokens: z.int().positive().nullish(),
  max_completion_tokens: z.int().positive().nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().gt(0).max(1).nullish(),
  top_k: z.int().min(0).nullish(),
  min_p: z.number().min(0).max(1).nullish(),
  seed: z.int().nullish(),
  stop: z
    .union([nonEmpty, z.array(nonEmpty).max(16)], {
      error: "must be a string that is not empty, or an array of at most 16 of them",
    })
    .nullish(),

  stream: z.boolean().nullish(),
  stream_options: z.object({ include_usage: z.boolean().nullish(), include_obfuscation: accepted }).nullish(),

  chat_template_kwargs: z.looseObject({ enable_thinking: z.boolean().nullish() }).nullish(),
  enable_thinking: z.boolean().nullish(),

  // Carried out in one way only; `unsupported.ts` refuses the others.
  n: z.int().nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.int().nullish(),
  response_format: z.looseObject({ type: z.string() }).nullish(),
  presence_penalty: z.number().nullish(),
  frequency_penalty: z.number().nullish(),
  repetition_penalty: z.number().nullish(),
  logit_bias: z.record(z.string(), z.number()).nullish(),
  modalities: z.array(z.string()).nullish(),
  reasoning_effort: z.string().nullish(),
  functions: z.array(z.unknown()).nullish(),
  function_call: z.unknown().optional(),

  // Accepted and without effect: they bear on billing, caching or safety of a hosted service.
  user: accepted,
  metadata: accepted,
  store: accepted,
  parallel_tool_calls: accepted,
  service_tier: accepted,
  safety_identifier: accepted,
  prompt_cache_key: accepted,
  prompt_cache_retention: accepted,
});

export type ChatBody = z.infer<typeof chatBodySchema>;
export type ChatMessage = ChatBody["messages"][number];
export type ChatTool = z.infer<typeof tool>;
export type ChatToolCall = z.infer<typeof toolCall>;

function roleError(issue: { code?: string }): string | undefined {
  return issue.code === "invalid_union"
    ? "must be one of system, developer, user, assistant, tool"
    : undefined;
}
