import { tokenCountChannel } from "@quern/shared/contract/names";
import { type TokenCountAnswer, tokenCountQuestionSchema } from "@quern/shared/contract/token-count";
import type { Redis } from "ioredis";
import type { EngineSupervisor } from "../engine-process/engine-supervisor.ts";

/**
 * Answers gateways that ask how many tokens a prompt has. A question that can't be answered (no engine just now, or
 * messages that the template refuses) stays unanswered: the gateway then accepts the job, and its attempt judges it.
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
    const promptTokens = await engines.current?.countPromptTokens(request);
    if (promptTokens === undefined) return;
    const reply: TokenCountAnswer = { questionId, promptTokens };
    await redis.publish(replyChannel, JSON.stringify(reply));
  }
}
