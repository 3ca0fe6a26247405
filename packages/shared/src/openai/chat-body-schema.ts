import { z } from "zod";
import { templateToolSchema, toolCallMessageSchema } from "../contract/generation.ts";

/**
 * The body of OpenAI's `POST /v1/chat/completions`, as far as Quern carries it out, with the fields that other servers
 * of Qwen models add (`top_k`, `min_p`, `enable_thinking`, `chat_template_kwargs`, `reasoning_content`).
 * https://platform.openai.com/docs/api-reference/chat/create
 */

/** A lone surrogate is no character: it can be neither tokenized nor sent back. */
const text = z.string().refine((value) => value.isWellFormed(), "has a half of a surrogate pair in it");

const textPart = z.strictObject({ type: z.literal("text"), text }, { error: partError });
const content = z.union([text, z.array(textPart)]);

const toolCalls = z.array(toolCallMessageSchema.extend({ index: z.int().optional() }));

const name = text.nullish();

const messageSchema = z.discriminatedUnion(
  "role",
  [
    z.object({ role: z.literal("system"), content, name }),
    z.object({ role: z.literal("developer"), content, name }),
    z.object({ role: z.literal("user"), content, name }),
    z.object({
      role: z.literal("assistant"),
      content: content.nullish(),
      reasoning_content: text.nullish(),
      tool_calls: toolCalls.nullish(),
      refusal: text.nullish(),
      name,
    }),
    z.object({ role: z.literal("tool"), content, tool_call_id: z.string().nullish(), name }),
  ],
  { error: roleError },
);

const accepted = z.unknown().optional();

export const chatBodySchema = z.strictObject({
  model: z.string().min(1),
  messages: z.array(messageSchema).min(1, "needs at least one message"),
  tools: z.array(templateToolSchema).nullish(),
  tool_choice: z.unknown().optional(),

  max_tokens: z.int().positive().nullish(),
  max_completion_tokens: z.int().positive().nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().gt(0).max(1).nullish(),
  top_k: z.int().min(0).nullish(),
  min_p: z.number().min(0).max(1).nullish(),
  seed: z.int().nullish(),
  stop: z.union([text.min(1), z.array(text.min(1)).max(16)]).nullish(),

  stream: z.boolean().nullish(),
  stream_options: z.object({ include_usage: z.boolean().nullish(), include_obfuscation: accepted }).nullish(),

  chat_template_kwargs: z.record(z.string(), z.unknown()).nullish(),
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

function partError(issue: { input?: unknown }): string {
  const type = (issue.input as { type?: unknown } | null)?.type;
  return typeof type === "string" && type !== "text"
    ? `content of type '${type}' is not supported: Quern's models read text only`
    : "must be a part of the form {type: 'text', text: '…'}";
}

function roleError(issue: { code?: string }): string | undefined {
  return issue.code === "invalid_union"
    ? "must be one of system, developer, user, assistant, tool"
    : undefined;
}
