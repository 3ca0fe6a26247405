import { randomUUIDv7 } from "node:crypto";

/** Ids sort by creation, which is what lists of batches are ordered by. */
export function newBatchId(): string {
  return `batch_${randomUUIDv7()}`;
}

const BATCH_ID = /^batch_[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/;

export function isBatchId(text: string): boolean {
  return BATCH_ID.test(text);
}

/** Of an input that is made for a batch: who submits it again under its id makes the same file. */
export function inputFileIdOf(batchId: string): string {
  return `file-${batchId.slice("batch_".length)}`;
}
