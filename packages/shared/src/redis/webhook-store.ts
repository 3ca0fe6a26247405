import type { Redis } from "ioredis";
import { isBatchId } from "../contract/line-job.ts";
import { batchKey, jobKey, webhookKey } from "../contract/names.ts";
import type { WebhookState } from "../contract/webhook.ts";
import { loadScript, runScript } from "./script.ts";

const RECORD = loadScript("record_webhook.lua");

/** Longer than the longest schedule of attempts, with all that receivers may ask for on top. */
const DELIVERY_TTL_SECONDS = 14 * 86_400;

/** What is delivered of a job, for as long as it is tried. It outlives the job's record, and goes when the job is erased. */
export interface StoredDelivery {
  body: string;
  /** null: the job brought none. */
  secret: string | null;
}

/** The job has ended: what is to be told of it. Written twice it stays the same. */
export async function storeDelivery(redis: Redis, jobId: string, body: string): Promise<void> {
  const key = webhookKey(jobId);
  const replies = await redis.multi().hset(key, "body", body).expire(key, DELIVERY_TTL_SECONDS).exec();
  for (const [error] of replies ?? []) if (error) throw error;
}

/** null: it was delivered, or the job was erased. */
export async function readDelivery(redis: Redis, jobId: string): Promise<StoredDelivery | null> {
  const [body, secret] = await redis.hmget(webhookKey(jobId), "body", "secret");
  return body == null ? null : { body, secret: secret ?? null };
}

/** Nothing is delivered any more. */
export async function dropDelivery(redis: Redis, jobId: string): Promise<void> {
  await redis.del(webhookKey(jobId));
}

/** How far the webhook of a job or of a batch is, for everybody who reads it. Nothing when it is not kept any more. */
export async function recordWebhook(redis: Redis, id: string, state: WebhookState): Promise<void> {
  const key = isBatchId(id) ? batchKey(id) : jobKey(id);
  await runScript(redis, RECORD, [key], [JSON.stringify(state)]);
}
