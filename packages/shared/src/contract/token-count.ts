import { z } from "zod";
import { embeddingRequestSchema } from "./embedding.ts";
import { generationRequestSchema } from "./generation.ts";
import { jobErrorSchema } from "./job.ts";

/**
 * A gateway has no tokenizer. When bytes alone can't decide whether a prompt fits the context, or each of the texts that
 * are to be embedded, it asks one worker of the model, over Pub/Sub.
 */
const headerSchema = z.object({ questionId: z.string(), replyChannel: z.string() });
type TokenCountHeader = z.infer<typeof headerSchema>;

/** What is counted: the prompt of a chat or a completion, or each text that is to be embedded. */
export const countedRequestSchema = z.union([
  generationRequestSchema.pick({ completion: true, messages: true, tools: true, templateOptions: true }),
  embeddingRequestSchema.pick({ inputs: true }),
]);
export type CountedRequest = z.infer<typeof countedRequestSchema>;

/** A question as it is published: a line about the answer, and behind it the request, which may be large. */
export function writeTokenCountQuestion(header: TokenCountHeader, request: CountedRequest): string {
  return `${JSON.stringify(header)}\n${JSON.stringify(request)}`;
}

/** Reads the line and leaves the request as it is, for the process that counts. */
export function readTokenCountQuestion(message: string): TokenCountHeader & { requestJson: string } {
  const lineEnd = message.indexOf("\n");
  const header = headerSchema.parse(JSON.parse(message.slice(0, lineEnd)));
  return { ...header, requestJson: message.slice(lineEnd + 1) };
}

export const tokenCountAnswerSchema = z.object({
  questionId: z.string(),
  /** Tokens of the prompt, or of each input. null: the model can't take the request; `refusal` says why. */
  tokens: z.array(z.int().nonnegative()).nullable(),
  refusal: jobErrorSchema.nullable(),
});
export type TokenCountAnswer = z.infer<typeof tokenCountAnswerSchema>;
