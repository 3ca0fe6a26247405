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
});
export type Sampling = z.infer<typeof samplingSchema>;

export const generationRequestSchema = z.object({
  messages: z.array(templateMessageSchema).min(1),
  tools: z.array(templateToolSchema),
  /** Passed to the chat template as variables; `enable_thinking` is the one Qwen reads. */
  templateOptions: z.record(z.string(), z.unknown()),
  sampling: samplingSchema,
  /** Always set (drawn at submit when the caller gave none), so that a second attempt samples alike. */
  seed: z.int().nonnegative(),
  /** null: as many as the slot's context leaves room for. */
  maxTokens: z.int().positive().nullable(),
  stop: z.array(z.string()),
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

export const generationResultSchema = z.object({
  text: z.string(),
  reasoning: z.string(),
  toolCalls: z.array(toolCallSchema),
  /** null: it was cut off (cancelled) before the model ended. */
  finishReason: z.enum(FINISH_REASONS).nullable(),
});
export type GenerationResult = z.infer<typeof generationResultSchema>;
