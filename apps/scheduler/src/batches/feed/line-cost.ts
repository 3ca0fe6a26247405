import { isEmbeddingRequest, type JobRequest } from "@quern/shared/contract/job";
import { jobSizeOf } from "@quern/shared/contract/job-size";
import type { Lengths } from "@quern/shared/contract/rates";

/** Of English; others have more. */
const TOKENS_PER_CHARACTER = 1 / 4;
/** Of an answer whose length nothing is known of. */
const COMPLETION_TOKENS = 256;

/** How long prompts and answers of a model's batch jobs were; null: nothing was measured. */
export type MeasuredLengths = Pick<
  Lengths,
  "tokensPerCharacter" | "completionTokens" | "completionShare"
> | null;

/** What a line is thought to take of an engine, in tokens that are read or written. When it has ended, it is known. */
export function estimateTokens(request: JobRequest, lengths: MeasuredLengths): number {
  const { promptCharacters, maxTokens } = jobSizeOf(request);
  const promptTokens = promptCharacters * (lengths?.tokensPerCharacter?.mean ?? TOKENS_PER_CHARACTER);
  if (isEmbeddingRequest(request)) return Math.ceil(promptTokens);
  const answerTokens = answerTokensOf(maxTokens, lengths);
  return Math.ceil(promptTokens + request.choices * answerTokens);
}

/** Of one choice. */
function answerTokensOf(maxTokens: number | null, lengths: MeasuredLengths): number {
  if (maxTokens !== null && lengths?.completionShare != null) return maxTokens * lengths.completionShare.mean;
  return Math.min(
    lengths?.completionTokens?.mean ?? COMPLETION_TOKENS,
    maxTokens ?? Number.POSITIVE_INFINITY,
  );
}
