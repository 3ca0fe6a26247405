import {
  type JobRecord,
  type JobSummary,
  jobRecordSchema,
  jobSummarySchema,
  type NewJob,
  slotsOf,
} from "../contract/job.ts";
import { pendingWebhook } from "../contract/webhook.ts";
import { hashOf, pairsOf } from "./replies.ts";

/**
 * A job record as a Redis hash. Objects travel as JSON, numbers and booleans as text; a field that is null is
 * absent, which lets the scripts set a time once with HSETNX.
 */
const JSON_FIELDS = [
  "request",
  "metadata",
  "echoed",
  "usage",
  "result",
  "error",
  "size",
  "estimate",
  "webhook",
  "line",
] as const;
/** Absent: what the schema says. */
const COUNTER_FIELDS = ["kills", "lostAttempts", "parks", "slots"] as const;
const NUMBER_FIELDS = [
  "attempt",
  "crashes",
  "createdAtMs",
  "queuedAtMs",
  "startedAtMs",
  "firstTokenAtMs",
  "endedAtMs",
  "deadlineAtMs",
  "claimedAtMs",
  "suspectSinceMs",
  "retentionSeconds",
  "eventsRetentionSeconds",
  "expiresAtMs",
] as const;

export function newJobFields(job: NewJob): string[] {
  const fields: Record<string, string> = {
    id: job.id,
    tenant: job.tenant,
    model: job.model,
    endpoint: job.endpoint,
    class: job.class,
    state: "queued",
    attempt: "0",
    crashes: "0",
    cancelRequested: "0",
    slots: String(slotsOf(job.request)),
    request: JSON.stringify(job.request),
    metadata: JSON.stringify(job.metadata),
    createdAtMs: String(job.createdAtMs),
    queuedAtMs: String(job.createdAtMs),
  };
  if (job.echoed != null) fields.echoed = JSON.stringify(job.echoed);
  if (job.deadlineAtMs != null) fields.deadlineAtMs = String(job.deadlineAtMs);
  if (job.size != null) fields.size = JSON.stringify(job.size);
  if (job.estimate != null) fields.estimate = JSON.stringify(job.estimate);
  if (job.webhook != null) {
    const { url, secret } = job.webhook;
    fields.webhook = JSON.stringify(pendingWebhook(url, secret === null ? "tenant" : "job"));
  }
  if (job.retentionSeconds != null) fields.retentionSeconds = String(job.retentionSeconds);
  if (job.eventsRetentionSeconds != null) fields.eventsRetentionSeconds = String(job.eventsRetentionSeconds);
  if (job.retriedFrom != null) fields.retriedFrom = job.retriedFrom;
  if (job.idempotencyKeyHash != null) fields.idempotencyKeyHash = job.idempotencyKeyHash;
  if (job.line != null) fields.line = JSON.stringify(job.line);
  if (job.traceparent !== null) fields.traceparent = job.traceparent;
  return Object.entries(fields).flat();
}

/** The record of a job as it is when it is accepted. */
export function acceptedRecord(job: NewJob): JobRecord {
  return jobRecordSchema.parse(rawValues(Object.fromEntries(pairsOf(newJobFields(job)))));
}

/** null when the hash is empty: no such job. Throws a ZodError when a record is not ours. */
export function parseJobRecord(hash: Record<string, string>): JobRecord | null {
  return hash.id === undefined ? null : jobRecordSchema.parse(rawValues(hash));
}

export const SUMMARY_FIELDS = Object.keys(jobSummarySchema.shape);

/** `values` as HMGET gives them for `SUMMARY_FIELDS`. */
export function parseJobSummary(values: (string | null)[]): JobSummary | null {
  const hash = hashOf(SUMMARY_FIELDS, values);
  return hash.id === undefined ? null : jobSummarySchema.parse(rawValues(hash));
}

function rawValues(hash: Record<string, string>): Record<string, unknown> {
  const raw: Record<string, unknown> = { ...hash, cancelRequested: hash.cancelRequested === "1" };
  raw.traceparent = hash.traceparent ?? null;
  for (const field of NUMBER_FIELDS) raw[field] = hash[field] === undefined ? null : Number(hash[field]);
  for (const field of COUNTER_FIELDS) if (hash[field] !== undefined) raw[field] = Number(hash[field]);
  for (const field of JSON_FIELDS) raw[field] = hash[field] === undefined ? null : JSON.parse(hash[field]);
  return raw;
}
