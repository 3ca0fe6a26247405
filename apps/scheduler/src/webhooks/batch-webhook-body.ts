import type { BatchRecord } from "@quern/shared/contract/batch";
import { isBatchOver } from "@quern/shared/contract/batch-lifecycle";
import { toBatchObject } from "@quern/shared/openai/batch-object";
import { MAX_BODY_BYTES } from "./webhook-body.ts";

/** Of the faults of an input that are too many to be told. */
const FIRST_FAULTS = 10;

/**
 * What a receiver is told of a batch that is over: all of it as `GET /v1/batches/{id}` shows it, or with its first
 * faults, or its id and status only, whichever fits first.
 */
export function batchWebhookBody(record: BatchRecord): string {
  const { status } = record;
  if (!isBatchOver(status)) throw new Error(`batch ${record.id} is not over`);
  const endedAtMs = record.completedAtMs ?? record.failedAtMs ?? record.expiredAtMs ?? record.cancelledAtMs;
  const told = {
    type: `batch.${status}`,
    timestamp: new Date(endedAtMs ?? record.createdAtMs).toISOString(),
  };
  const { webhook: _, ...batch } = toBatchObject(record);
  const { id, object, errors } = batch;
  const fewErrors = errors === null ? null : { ...errors, data: errors.data.slice(0, FIRST_FAULTS) };
  for (const data of [batch, { ...batch, errors: fewErrors }]) {
    const body = JSON.stringify({ ...told, data });
    if (Buffer.byteLength(body) <= MAX_BODY_BYTES) return body;
  }
  return JSON.stringify({ ...told, data: { id, object, status } });
}
