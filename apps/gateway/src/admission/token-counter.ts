import { randomUUID } from "node:crypto";
import type { EmbeddingRequest } from "@quern/shared/contract/embedding";
import { type ErrorCode, QuernError } from "@quern/shared/contract/errors";
import type { GenerationRequest } from "@quern/shared/contract/generation";
import { tokenCountChannel, tokenCountReplyChannel } from "@quern/shared/contract/names";
import {
  type CountedRequest,
  type TokenCountAnswer,
  tokenCountAnswerSchema,
  writeTokenCountQuestion,
} from "@quern/shared/contract/token-count";
import type { Redis } from "ioredis";

const ANSWER_TIMEOUT_MS = 2_000;

type Answer = Pick<TokenCountAnswer, "tokens" | "refusal">;

/** Asks a worker of a model how many tokens a prompt or a text has: a gateway has no tokenizer. */
export class TokenCounter {
  readonly #redis: Redis;
  readonly #replyChannel = tokenCountReplyChannel(randomUUID());
  readonly #waiting = new Map<string, (answer: Answer | null) => void>();

  /** Listens on `subscriber`, which may have other uses. */
  constructor(redis: Redis, subscriber: Redis) {
    this.#redis = redis;
    subscriber.on("message", (channel, message) => {
      if (channel === this.#replyChannel) this.#hear(message);
    });
    // Not awaited: a gateway starts while Redis is away, and until it is back nobody can be asked anyway.
    subscriber.subscribe(this.#replyChannel).catch(() => {});
  }

  /**
   * null when the worker does not answer in time.
   * @throws QuernError `invalid_request` when the model's chat template refuses the messages, `context_length_exceeded`
   * for a prompt so long that it was not counted to the end.
   */
  async countPrompt(
    workerId: string,
    { completion, messages, tools, templateOptions }: GenerationRequest,
  ): Promise<number | null> {
    const request = { completion, messages, tools, templateOptions };
    const tokens = await this.#count(workerId, request);
    return tokens?.[0] ?? null;
  }

  /** Tokens of each input; null when the worker does not answer in time. */
  countInputs(workerId: string, { inputs }: EmbeddingRequest): Promise<number[] | null> {
    return this.#count(workerId, { inputs });
  }

  async #count(workerId: string, request: CountedRequest): Promise<number[] | null> {
    const questionId = randomUUID();
    const question = writeTokenCountQuestion({ questionId, replyChannel: this.#replyChannel }, request);
    const answered = new Promise<Answer | null>((resolve) => this.#waiting.set(questionId, resolve));
    const giveUp = setTimeout(() => this.#waiting.get(questionId)?.(null), ANSWER_TIMEOUT_MS);
    try {
      const listening = await this.#redis.publish(tokenCountChannel(workerId), question);
      const answer = listening === 0 ? null : await answered;
      if (answer?.refusal != null) {
        const { code, message, param } = answer.refusal;
        throw new QuernError(code as ErrorCode, message, param === null ? {} : { param });
      }
      return answer?.tokens ?? null;
    } finally {
      clearTimeout(giveUp);
      this.#waiting.delete(questionId);
    }
  }

  #hear(message: string): void {
    const answer = tokenCountAnswerSchema.safeParse(JSON.parse(message));
    if (answer.success) this.#waiting.get(answer.data.questionId)?.(answer.data);
  }
}
