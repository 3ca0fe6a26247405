// A worker's container healthcheck: exit 0 when the worker of this container has a fresh heartbeat and takes jobs
// (or finishes its last ones); 1 also when it is unhealthy: its engines die again and again. A worker serves no HTTP, so this asks where everybody else learns of it: Redis.

import { hostname } from "node:os";
import { listWorkers } from "@quern/shared/redis/registry";
import { Redis } from "ioredis";

const redis = new Redis(process.env.REDIS_URL ?? "redis://127.0.0.1:6379", {
  commandTimeout: 3_000,
  maxRetriesPerRequest: 0,
  retryStrategy: () => null,
});
// The rejected command says the same.
redis.on("error", () => {});

try {
  const own = (await listWorkers(redis)).find((worker) => worker.host === hostname());
  console.log(own === undefined ? "no heartbeat" : own.state);
  process.exitCode = own?.state === "ready" || own?.state === "draining" ? 0 : 1;
} catch (error) {
  console.log(`Redis does not answer: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
} finally {
  redis.disconnect();
}
