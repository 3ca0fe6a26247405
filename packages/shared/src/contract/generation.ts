import { z } from "zod";

/**
 * What the engine is asked to generate, free of any vendor's wire format except one: messages and tools keep the
 * shape that chat templates are written for (the Hugging Face form), because the model's own template reads them.
 */

/** `arguments` may be a JSON string (as OpenAI sends it) or an object; templates take both. */
export const toolCallMessageSchema = z.object({
  id: z.string().optional(),
  type: z.literal("function").default("function"),
  function: z.object({
    name: z.string(),
    arguments: z.union([z.string(), z.record(z.string(), z.unknown())]),
  }),
});

export const templateMessageSchema = z.object({
  role: z.enum(["system", "user", "assistant", "tool"]),
  content: z.string(),
  reasoning_content: z.string().optional(),
  name: z.string().optional(),
  tool_call_id: z.string().optional(),
  tool_calls: z.array(toolCallMessageSchema).optional(),
});
export type TemplateMessage = z.infer<typeof templateMessageSchema>;

export const templateToolSchema = z.object({
  type: z.literal("function"),
  function: z.object({
    name: z.string(),
    description: z.string().optional(),
    parameters: z.record(z.string(), z.unknown()).optional(),
  }),
});
export type TemplateTool = z.infer<typeof templateToolSchema>;

/** What is absent falls to the model's defaults for the mode (thinking or plain). */
export const samplingSchema = z.object({
  temperature: z.number().optional(),
  topP: z.number().optional(),
  topK: z.int().optional(),
  minP: z.number().optional(),
  /** Over what was generated, not over the prompt; 0 is off for the first two, 1 for the last. */
  presencePenalty: z.number().optional(),
  frequencyPenalty: z.number().optional(),
  repetitionPenalty: z.number().optional(),
});
export type Sampling = z.infer<typeof samplingSchema>;

/** What the content has to look like. Reasoning before it is free. */
export const outputFormatSchema = z.discriminatedUnion("type", [
  z.object({ type: z.literal("text") }),
  z.object({ type: z.literal("json_object") }),
  z.object({ type: z.literal("json_schema"), schema: z.record(z.string(), z.unknown()) }),
]);
export type OutputFormat = z.infer<typeof outputFormatSchema>;

/** Whether the model may, or must, call a tool. A request that must not call any carries no tools. */
export const toolChoiceSchema = z.discriminatedUnion("type", [
  z.object({ type: z.literal("auto") }),
  z.object({ type: z.literal("required") }),
  z.object({ type: z.literal("function"), name: z.string() }),
]);
export type ToolChoice = z.infer<typeof toolChoiceSchema>;

export const generationRequestSchema = z.object({
  /**
   * A text to go on from as it stands, instead of messages to answer: no template, no thoughts, no tools. With a suffix
   * the gap between both is filled, by models that have learned to.
   */
  completion: z.object({ prompt: z.string(), suffix: z.string().nullable() }).nullable().default(null),
  /** At least one, unless there is a `completion`. */
  messages: z.array(templateMessageSchema),
  tools: z.array(templateToolSchema),
  /** Passed to the chat template as variables; `enable_thinking` is the one Qwen reads. */
  templateOptions: z.record(z.string(), z.unknown()),
  sampling: samplingSchema,
  /** Always set (drawn at submit when the caller gave none), so that a second attempt samples alike. */
  seed: z.int().nonnegative(),
  /** null: as many as the slot's context leaves room for. */
  maxTokens: z.int().positive().nullable(),
  stop: z.array(z.string()),
  format: outputFormatSchema.default({ type: "text" }),
  toolChoice: toolChoiceSchema.default({ type: "auto" }),
  /** Tokens of reasoning after which the engine closes the think block itself; null: no limit but `maxTokens`. */
  thinkingBudgetTokens: z.int().nonnegative().nullable().default(null),
  /** Added to the logits of these tokens of the model's vocabulary. */
  logitBias: z.array(z.object({ token: z.int().nonnegative(), bias: z.number() })).default([]),
  /** null: no log-probabilities; otherwise how many alternatives beside each token's own. */
  topLogprobs: z.int().min(0).max(20).nullable().default(null),
  /** How many answers are generated to the one prompt, each with a seed of its own. */
  choices: z.int().min(1).max(16).default(1),
});
export type GenerationRequest = z.infer<typeof generationRequestSchema>;

export const usageSchema = z.object({
  promptTokens: z.int().nonnegative(),
  /** All tokens the model generated, reasoning and the end-of-turn token included. */
  completionTokens: z.int().nonnegative(),
  reasoningTokens: z.int().nonnegative(),
  cachedTokens: z.int().nonnegative(),
});
export type Usage = z.infer<typeof usageSchema>;

export const FINISH_REASONS = ["stop", "length", "tool_calls"] as const;
export type FinishReason = (typeof FINISH_REASONS)[number];

export const toolCallSchema = z.object({
  id: z.string(),
  type: z.literal("function"),
  function: z.object({ name: z.string(), arguments: z.string() }),
});
export type ToolCall = z.infer<typeof toolCallSchema>;

/** A piece of a tool call as it is written: the first of an index carries id, type and name; arguments add up. */
export const toolCallDeltaSchema = z.object({
  index: z.int().nonnegative(),
  id: z.string().optional(),
  type: z.literal("function").optional(),
  function: z.object({ name: z.string().optional(), arguments: z.string().optional() }),
});
export type ToolCallDelta = z.infer<typeof toolCallDeltaSchema>;

/**
 * Natural logarithms of the model's own probabilities: before temperature, penalties and cuts. `token` is the text of
 * one token, with U+FFFD where it is half a character; `bytes` is what it really holds.
 */
const tokenProbabilitySchema = z.object({
  token: z.string(),
  logprob: z.number(),
  bytes: z.array(z.int()),
});
export const tokenLogprobSchema = tokenProbabilitySchema.extend({
  /** The likeliest tokens of this position, the likeliest first. */
  top: z.array(tokenProbabilitySchema),
});
export type TokenLogprob = z.infer<typeof tokenLogprobSchema>;

export const generatedChoiceSchema = z.object({
  text: z.string(),
  reasoning: z.string(),
  toolCalls: z.array(toolCallSchema),
  /** null: it was cut off (cancelled) before the model ended. */
  finishReason: z.enum(FINISH_REASONS).nullable(),
  /** Of the tokens of `text`; null when the request did not ask. */
  logprobs: z.array(tokenLogprobSchema).nullable().default(null),
});
export type GeneratedChoice = z.infer<typeof generatedChoiceSchema>;

/** The first choice, which is the whole result of nearly every job, and the others where more were asked for. */
export const generationResultSchema = generatedChoiceSchema.extend({
  alternatives: z.array(generatedChoiceSchema).default([]),
});
export type GenerationResult = z.infer<typeof generationResultSchema>;
