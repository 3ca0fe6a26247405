import { QuernError } from "@quern/shared/contract/errors";
import { tokenCountChannel } from "@quern/shared/contract/names";
import { type TokenCountAnswer, tokenCountQuestionSchema } from "@quern/shared/contract/token-count";
import type { Redis } from "ioredis";
import type { EngineSupervisor } from "../supervise/engine-supervisor.ts";

/**
 * Answers gateways that ask how many tokens a prompt or a text has. A question that comes while the engine is away stays
 * unanswered: the gateway then accepts the job, and its attempt judges it.
 */
export async function answerTokenCounts(
  subscriber: Redis,
  redis: Redis,
  model: string,
  engines: EngineSupervisor,
): Promise<void> {
  const channel = tokenCountChannel(model);
  subscriber.on("message", (from, message) => {
    if (from === channel) void answer(message).catch(() => {});
  });
  await subscriber.subscribe(channel);

  async function answer(message: string): Promise<void> {
    const { questionId, replyChannel, request } = tokenCountQuestionSchema.parse(JSON.parse(message));
    const engine = engines.current;
    if (engine === null) return;
    const counted = await engine.countTokens(request).then(
      (tokens) => ({ tokens, refusal: null }),
      (error) => {
        if (!(error instanceof QuernError)) throw error;
        return { tokens: null, refusal: error.message };
      },
    );
    const reply: TokenCountAnswer = { questionId, ...counted };
    await redis.publish(replyChannel, JSON.stringify(reply));
  }
}
