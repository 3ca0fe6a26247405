import type { JobRecord } from "@quern/shared/contract/job";
import { isTerminal } from "@quern/shared/contract/lifecycle";
import { WEBHOOK_EVENTS } from "@quern/shared/contract/webhook";
import { toJobObject } from "@quern/shared/openai/job-object";

/** Standard Webhooks' advice; many receivers refuse larger bodies. */
export const MAX_BODY_BYTES = 20_000;

/**
 * What a receiver is told of a job that has ended: all of it as `GET /v1/jobs/{id}` shows it, or without its answer, or
 * its id and status only, whichever fits first. It is written once, so every attempt says and signs the same.
 */
export function webhookBody(record: JobRecord): string {
  const { state, endedAtMs } = record;
  if (!isTerminal(state)) throw new Error(`job ${record.id} has not ended`);
  const timestamp = new Date(endedAtMs ?? record.createdAtMs).toISOString();
  const { webhook: _, ...job } = toJobObject(record, null);
  const { id, object, status } = job;
  for (const data of [job, { ...job, response: null }]) {
    const body = JSON.stringify({ type: WEBHOOK_EVENTS[state], timestamp, data });
    if (Buffer.byteLength(body) <= MAX_BODY_BYTES) return body;
  }
  return JSON.stringify({ type: WEBHOOK_EVENTS[state], timestamp, data: { id, object, status } });
}

/** The same over all attempts, by which a receiver knows a delivery again. No dot, which the signature separates by. */
export function webhookId(id: string): string {
  return `msg_${id.replace(/^job_/, "")}`;
}
