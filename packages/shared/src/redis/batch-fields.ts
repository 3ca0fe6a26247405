import { type BatchRecord, batchRecordSchema, type NewBatch } from "../contract/batch.ts";
import { pendingWebhook } from "../contract/webhook.ts";
import { hashOf } from "./replies.ts";

/** A batch record as a Redis hash: objects as JSON, numbers and booleans as text; a field that is null is absent. */
const JSON_FIELDS = ["metadata", "errors", "progress", "webhook"] as const;
const TEXT_FIELDS = [
  "model",
  "awaitedModel",
  "retriedFrom",
  "traceparent",
  "outputFileId",
  "errorFileId",
] as const;
const TIME_FIELDS = [
  "pausedAtMs",
  "createdAtMs",
  "inProgressAtMs",
  "expiresAtMs",
  "finalizingAtMs",
  "completedAtMs",
  "failedAtMs",
  "expiredAtMs",
  "cancellingAtMs",
  "cancelledAtMs",
  "outputExpiresAfterSeconds",
] as const;
const COUNT_FIELDS = ["total", "completed", "failed"] as const;
const USAGE_FIELDS = ["promptTokens", "completionTokens", "reasoningTokens", "cachedTokens"] as const;

/** Those of the hash that are the record's; its keeper and its feeder have others, which may be long. */
export const RECORD_FIELDS = [
  ...["id", "tenant", "endpoint", "status", "inputFileId", "dedupe"],
  ...[...TEXT_FIELDS, ...TIME_FIELDS, ...JSON_FIELDS, ...COUNT_FIELDS, ...USAGE_FIELDS],
];

export function newBatchFields(batch: NewBatch): Record<string, string> {
  const { webhook, outputExpiresAfterSeconds, retriedFrom, traceparent } = batch;
  return {
    id: batch.id,
    tenant: batch.tenant,
    endpoint: batch.endpoint,
    inputFileId: batch.inputFileId,
    status: "validating",
    dedupe: batch.dedupe ? "1" : "0",
    metadata: JSON.stringify(batch.metadata),
    createdAtMs: String(batch.createdAtMs),
    expiresAtMs: String(batch.expiresAtMs),
    ...(outputExpiresAfterSeconds === null
      ? {}
      : { outputExpiresAfterSeconds: String(outputExpiresAfterSeconds) }),
    ...(retriedFrom === null ? {} : { retriedFrom }),
    ...(traceparent === null ? {} : { traceparent }),
    ...(webhook === null
      ? {}
      : { webhook: JSON.stringify(pendingWebhook(webhook.url, webhook.secret === null ? "tenant" : "job")) }),
  };
}

/** `values` as HMGET gives them for `RECORD_FIELDS`. null: there is no such batch. Throws a ZodError when a record is not ours. */
export function parseBatchValues(values: (string | null)[]): BatchRecord | null {
  return parseBatchRecord(hashOf(RECORD_FIELDS, values));
}

/** Likewise of a hash; null when it is empty. */
export function parseBatchRecord(hash: Record<string, string>): BatchRecord | null {
  if (hash.id === undefined) return null;
  const raw: Record<string, unknown> = { ...hash, dedupe: hash.dedupe === "1" };
  for (const field of TEXT_FIELDS) raw[field] = hash[field] ?? null;
  for (const field of TIME_FIELDS) raw[field] = hash[field] === undefined ? null : Number(hash[field]);
  for (const field of JSON_FIELDS) raw[field] = hash[field] === undefined ? null : JSON.parse(hash[field]);
  for (const field of COUNT_FIELDS) raw[field] = Number(hash[field] ?? 0);
  raw.errors ??= [];
  raw.usage = Object.fromEntries(USAGE_FIELDS.map((field) => [field, Number(hash[field] ?? 0)]));
  return batchRecordSchema.parse(raw);
}
