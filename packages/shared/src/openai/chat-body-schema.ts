import { z } from "zod";
import { REASONING_EFFORTS } from "./reasoning-effort.ts";
import { serviceTier } from "./service-tier.ts";
import { accepted, nonEmpty, textFields } from "./text-body.ts";

/**
 * The body of OpenAI's `POST /v1/chat/completions`, as far as Quern carries it out, with the fields that other servers
 * of Qwen models add (`top_k`, `min_p`, `repetition_penalty`, `enable_thinking`, `thinking_budget`,
 * `chat_template_kwargs`, `reasoning_content`). What each does stands in `docs/chat-completions.md`.
 * https://platform.openai.com/docs/api-reference/chat/create
 */

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

/** Wider than OpenAI's; Qwen3-Coder writes the name into a tag, `<function=name>`. */
export const toolName = z
  .string()
  .regex(/^[^\s<>]{1,128}$/u, "must be 1 to 128 characters, without blanks, < and >");

const tool = z.object({
  type: z.literal("function"),
  function: z.object({
    name: toolName,
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

const namedSchema = {
  name: z.string().regex(/^[\w-]{1,64}$/, "must be 1 to 64 letters, digits, underscores or dashes"),
  description: z.string().nullish(),
  schema: z.record(z.string(), z.unknown()),
  strict: z.boolean().nullish(),
};

/** Strict, so that a format's own options under other servers' names are not silently left out. */
function formatOneOf<Schema extends z.core.$ZodTypeDiscriminable>(jsonSchema: Schema) {
  const plain = [
    z.strictObject({ type: z.literal("text") }),
    z.strictObject({ type: z.literal("json_object") }),
  ] as const;
  return z.discriminatedUnion("type", [...plain, jsonSchema], {
    error: (issue) =>
      issue.code === "invalid_union" ? "must be one of text, json_object, json_schema" : undefined,
  });
}

const responseFormat = formatOneOf(
  z.strictObject({ type: z.literal("json_schema"), json_schema: z.strictObject(namedSchema) }),
);
/** As the Responses API writes it, one level flatter. */
export const textFormat = formatOneOf(z.strictObject({ type: z.literal("json_schema"), ...namedSchema }));

const toolChoice = z.union(
  [
    z.enum(["auto", "none", "required"]),
    z.object({ type: z.literal("function"), function: z.object({ name: nonEmpty }) }),
  ],
  { error: "must be 'auto', 'none', 'required', or {type: 'function', function: {name: '…'}}" },
);

const thinkingBudget = z.int().min(0).nullish();
/** What servers of Qwen models add to OpenAI's `reasoning_effort`. */
export const thinkingFields = {
  chat_template_kwargs: z
    .looseObject({ enable_thinking: z.boolean().nullish(), thinking_budget: thinkingBudget })
    .nullish(),
  enable_thinking: z.boolean().nullish(),
  thinking_budget: thinkingBudget,
};

export const chatBodySchema = z.strictObject({
  model: nonEmpty,
  messages: z.array(messageSchema).min(1, "needs at least one message"),
  tools: z.array(tool).nullish(),
  tool_choice: toolChoice.nullish(),
  parallel_tool_calls: z.boolean().nullish(),

  ...textFields,
  max_completion_tokens: z.int().positive().nullish(),

  response_format: responseFormat.nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.int().min(0).max(20).nullish(),

  ...thinkingFields,
  reasoning_effort: z.enum(REASONING_EFFORTS).nullish(),

  /** `flex` is the batch class; the others are the interactive one. */
  service_tier: serviceTier,
  /** Whether the caller waits, and whether its hanging up cancels: `docs/jobs.md`. */
  background: z.boolean().nullish(),
  store: z.boolean().nullish(),

  // Carried out in one way only; `unsupported.ts` refuses the others.
  modalities: z.array(z.string()).nullish(),
  functions: z.array(z.unknown()).nullish(),
  function_call: z.unknown().optional(),

  // Accepted and without effect: they bear on billing, caching or safety of a hosted service.
  user: accepted,
  metadata: accepted,
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
