import type { LineOfBatch } from "./line-job.ts";

/** What a line is called in its batch's files: `batch_req_<uuid of the batch>_<index>`. */
export function batchLineId({ batchId, index }: LineOfBatch): string {
  return `batch_req_${batchId.slice("batch_".length)}_${index}`;
}

const LINE_ID = /^batch_req_[0-9a-f-]{36}_(\d{1,15})$/;

/** The index of the line in its batch's input; null: it is no such id. */
export function indexOfLineId(id: string): number | null {
  const [, index] = LINE_ID.exec(id) ?? [];
  return index === undefined ? null : Number(index);
}
