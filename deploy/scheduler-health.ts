// A scheduler's container healthcheck: exit 0 when the scheduler of this container has given a sign of life in Redis. It
// serves no HTTP that could be asked.

import { hostname } from "node:os";
import { schedulerKey } from "@quern/shared/contract/names";
import { Redis } from "ioredis";

const redis = new Redis(process.env.REDIS_URL ?? "redis://127.0.0.1:6379", {
  commandTimeout: 3_000,
  maxRetriesPerRequest: 0,
  retryStrategy: () => null,
});
// The rejected command says the same.
redis.on("error", () => {});

try {
  const alive = await redis.exists(schedulerKey(hostname()));
  console.log(alive === 1 ? "alive" : "no sign of life");
  process.exitCode = alive === 1 ? 0 : 1;
} catch (error) {
  console.log(`Redis does not answer: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
} finally {
  redis.disconnect();
}
