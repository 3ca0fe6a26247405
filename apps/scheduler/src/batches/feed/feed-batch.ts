import type { BatchRecord } from "@quern/shared/contract/batch";

/** What a feeder knows of a batch for good. */
export type FeedBatch = Pick<
  BatchRecord,
  "id" | "tenant" | "endpoint" | "inputFileId" | "dedupe" | "traceparent" | "createdAtMs" | "expiresAtMs"
> & {
  /** Its own name, which its queue has. */
  model: string;
};

/** Of a tenant's batches: whose window ends first, then the oldest. */
export function byUrgency(a: FeedBatch, b: FeedBatch): number {
  return a.expiresAtMs - b.expiresAtMs || a.createdAtMs - b.createdAtMs || (a.id < b.id ? -1 : 1);
}
