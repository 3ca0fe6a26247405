import { QuernError } from "@quern/shared/contract/errors";
import { tokenCountChannel } from "@quern/shared/contract/names";
import { readTokenCountQuestion, type TokenCountAnswer } from "@quern/shared/contract/token-count";
import type { Redis } from "ioredis";
import { toJobError } from "../protocol/job-error.ts";
import type { Preparation } from "../supervise/preparation.ts";

const NEVER = new AbortController().signal;

/**
 * Answers gateways that ask this worker how many tokens a prompt or a text has. A question may stay unanswered (the preparer
 * died): the gateway then accepts the job, and its attempt decides.
 */
export async function answerTokenCounts(
  subscriber: Redis,
  redis: Redis,
  workerId: string,
  preparation: Preparation,
): Promise<void> {
  const channel = tokenCountChannel(workerId);
  subscriber.on("message", (from, message) => {
    if (from === channel) void answer(message).catch(() => {});
  });
  await subscriber.subscribe(channel);

  async function answer(message: string): Promise<void> {
    const { questionId, replyChannel, requestJson } = readTokenCountQuestion(message);
    const counted = await preparation.count(requestJson, NEVER).then(
      (tokens) => ({ tokens, refusal: null }),
      (error: unknown) => {
        if (!(error instanceof QuernError)) throw error;
        return { tokens: null, refusal: toJobError(error) };
      },
    );
    const reply: TokenCountAnswer = { questionId, ...counted };
    await redis.publish(replyChannel, JSON.stringify(reply));
  }
}
