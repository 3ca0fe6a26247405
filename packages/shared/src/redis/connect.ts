import { Redis, type RedisOptions } from "ioredis";
import { AnswerLimit } from "./answer-limit.ts";

/**
 * - `request`: on the path of an HTTP request. Never waits: with Redis away a command fails at once, with Redis
 *   silent after `SILENCE_LIMIT_MS`, so that the caller gets its 503 within a second.
 * - `work`: a worker's. Commands wait for Redis to come back, however long that takes.
 * - `subscribe`: Pub/Sub only; subscriptions are made again after every reconnect.
 */
export type ConnectionPurpose = "request" | "work" | "subscribe";

const SILENCE_LIMIT_MS = 800;

/** Soon at first, then every two seconds: an outage ends for us at most two seconds after it ended. */
function retryDelayMs(attempt: number): number {
  return Math.min(100 * 2 ** attempt, 2_000);
}

/** ioredis waits this long for a connection to close, one too that is gone already: then it only holds up the process. */
const DISCONNECT_TIMEOUT_MS = 500;

const OPTIONS = {
  request: { enableOfflineQueue: false, maxRetriesPerRequest: 0 },
  work: { maxRetriesPerRequest: null },
  subscribe: { maxRetriesPerRequest: null, autoResubscribe: true },
} satisfies Record<ConnectionPurpose, RedisOptions>;

/** `onError` hears every failed connection attempt; without a listener ioredis would print them itself. */
export function connectRedis(
  url: string,
  purpose: ConnectionPurpose,
  onError: (error: Error) => void,
): Redis {
  const options = {
    ...OPTIONS[purpose],
    connectTimeout: 2_000,
    disconnectTimeout: DISCONNECT_TIMEOUT_MS,
    retryStrategy: retryDelayMs,
  } satisfies RedisOptions;
  const redis = purpose === "request" ? new ImpatientRedis(url, options) : new Redis(url, options);
  redis.on("error", onError);
  return redis;
}

/** A connection whose commands fail when Redis is silent. ioredis' own `commandTimeout` counts our event loop's delay too. */
class ImpatientRedis extends Redis {
  readonly #answerLimit = new AnswerLimit(SILENCE_LIMIT_MS);

  override sendCommand(...[command, stream]: Parameters<Redis["sendCommand"]>): unknown {
    this.#answerLimit.watch(command);
    return super.sendCommand(command, stream);
  }
}
