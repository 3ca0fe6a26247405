import { connectRedis } from "@quern/shared/redis/connect";
import { newBatchId } from "../../../apps/gateway/src/dispatch/batch-id.ts";
import { JobQueues } from "../../../apps/gateway/src/dispatch/job-queues.ts";
import { submitBatch } from "../../../apps/gateway/src/dispatch/submit-batch.ts";

/** Hands batches in as a gateway does for whoever it has authenticated: here for any tenant. */
export interface TenantDispatch extends AsyncDisposable {
  /** `inputFileId` is that tenant's. @returns the batch's id. */
  submit: (tenant: string, inputFileId: string) => Promise<string>;
}

const WINDOW_SECONDS = 24 * 3_600;

export async function openDispatch(redisUrl: string): Promise<TenantDispatch> {
  const redis = connectRedis(redisUrl, "work", () => {});
  await redis.ping();
  const queues = new JobQueues(redis, () => {});
  return {
    submit: async (tenant, inputFileId) => {
      const { id } = await submitBatch(redis, queues, newBatchId(), {
        tenant,
        endpoint: "/v1/chat/completions",
        inputFileId,
        dedupe: false,
        metadata: {},
        outputExpiresAfterSeconds: null,
        retriedFrom: null,
        webhook: null,
        windowSeconds: WINDOW_SECONDS,
      });
      return id;
    },
    [Symbol.asyncDispose]: async () => {
      // With Redis gone, as when a terminal ends the whole group, it would wait for it.
      if (redis.status === "ready") await queues.close();
      redis.disconnect();
    },
  };
}
