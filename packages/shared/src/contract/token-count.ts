import { z } from "zod";
import { embeddingRequestSchema } from "./embedding.ts";
import { generationRequestSchema } from "./generation.ts";
import { jobErrorSchema } from "./job.ts";

/**
 * A gateway has no tokenizer. When bytes alone can't decide whether a prompt fits the context, or each of the texts that
 * are to be embedded, it asks one worker of the model, over Pub/Sub.
 */
export const tokenCountQuestionSchema = z.object({
  questionId: z.string(),
  replyChannel: z.string(),
  request: z.union([
    generationRequestSchema.pick({ completion: true, messages: true, tools: true, templateOptions: true }),
    embeddingRequestSchema.pick({ inputs: true }),
  ]),
});
export type TokenCountQuestion = z.infer<typeof tokenCountQuestionSchema>;

export const tokenCountAnswerSchema = z.object({
  questionId: z.string(),
  /** Tokens of the prompt, or of each input. null: the model can't take the request; `refusal` says why. */
  tokens: z.array(z.int().nonnegative()).nullable(),
  refusal: jobErrorSchema.nullable(),
});
export type TokenCountAnswer = z.infer<typeof tokenCountAnswerSchema>;
