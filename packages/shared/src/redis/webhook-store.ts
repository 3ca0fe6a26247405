import type { Redis } from "ioredis";
import { jobKey, webhookSecretKey } from "../contract/names.ts";
import type { WebhookState } from "../contract/webhook.ts";
import { loadScript, runScript } from "./script.ts";

const RECORD = loadScript("record_webhook.lua");

/** Longer than the longest schedule of attempts, with all that receivers may ask for on top. */
const SECRET_TTL_SECONDS = 14 * 86_400;

/** How far the webhook of a job is, for everybody who reads the job. Nothing when the job is not kept any more. */
export async function recordWebhook(redis: Redis, jobId: string, state: WebhookState): Promise<void> {
  await runScript(redis, RECORD, [jobKey(jobId)], [JSON.stringify(state)]);
}

/** The secret that the job's submitter sent, or null. */
export function readWebhookSecret(redis: Redis, jobId: string): Promise<string | null> {
  return redis.get(webhookSecretKey(jobId));
}

/** The job has ended: its secret is needed for as long as deliveries are tried. Whether there is one. */
export async function keepWebhookSecret(redis: Redis, jobId: string): Promise<{ kept: boolean }> {
  return { kept: (await redis.expire(webhookSecretKey(jobId), SECRET_TTL_SECONDS)) === 1 };
}

/** Nothing is delivered any more. */
export async function dropWebhookSecret(redis: Redis, jobId: string): Promise<void> {
  await redis.del(webhookSecretKey(jobId));
}
