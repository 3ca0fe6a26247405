import { z } from "zod";
import { generationRequestSchema } from "./generation.ts";

/**
 * A gateway has no tokenizer. When bytes alone can't tell whether a prompt fits the context it asks a worker of
 * the model, over Pub/Sub; the first answer counts.
 */
export const tokenCountQuestionSchema = z.object({
  questionId: z.string(),
  replyChannel: z.string(),
  request: generationRequestSchema.pick({ messages: true, tools: true, templateOptions: true }),
});
export type TokenCountQuestion = z.infer<typeof tokenCountQuestionSchema>;

export const tokenCountAnswerSchema = z.object({
  questionId: z.string(),
  /** null: the model's chat template refuses the messages; `refusal` says why. */
  promptTokens: z.int().nonnegative().nullable(),
  refusal: z.string().nullable(),
});
export type TokenCountAnswer = z.infer<typeof tokenCountAnswerSchema>;
