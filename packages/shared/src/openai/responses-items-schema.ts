import { z } from "zod";
import { nonEmpty } from "./text-body.ts";

/**
 * The items of a response's `input`: what was said so far, an earlier response's output among it as it was received.
 * Fields of an item that say nothing to a model (`id`, `status`, `annotations`, …) are passed over.
 * https://platform.openai.com/docs/api-reference/responses/create#responses-create-input
 */

const TEXT_PARTS = ["input_text", "output_text", "text"] as const;
const textPart = z.union([
  z.object({ type: z.enum(TEXT_PARTS), text: z.string() }),
  z.object({ type: z.literal("refusal"), refusal: z.string() }),
]);
export type TextPart = z.infer<typeof textPart>;

const content = z.union([z.string(), z.array(textPart)], {
  error: "must be a string, or an array of parts of the form {type: 'input_text', text: '…'}",
});

const message = z.object({
  type: z.literal("message").default("message"),
  role: z.enum(["system", "developer", "user", "assistant"], {
    error: "must be one of system, developer, user, assistant",
  }),
  content,
});

const functionCall = z.object({
  type: z.literal("function_call"),
  call_id: z.string(),
  name: nonEmpty,
  /** JSON, as the model wrote it. */
  arguments: z.string(),
});

const functionCallOutput = z.object({
  type: z.literal("function_call_output"),
  call_id: z.string(),
  output: content,
});

const reasoning = z.object({
  type: z.literal("reasoning"),
  summary: z.array(z.object({ text: z.string() })).nullish(),
  content: z.array(z.object({ text: z.string() })).nullish(),
  encrypted_content: z.string().nullish(),
});

export const inputItem = z.discriminatedUnion("type", [message, functionCall, functionCallOutput, reasoning]);
export type InputItem = z.infer<typeof inputItem>;

export const ITEM_TYPES: readonly string[] = [
  "message",
  "function_call",
  "function_call_output",
  "reasoning",
] satisfies InputItem["type"][];
