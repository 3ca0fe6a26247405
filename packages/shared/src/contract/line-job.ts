/**
 * A line of a batch runs as a job like any other. Its id tells whose line it is, so that a line that is fed twice is one
 * job, and its keys share the hash tag of its batch, so that its end and the batch's counts are written together.
 */
const LINE_JOB_ID = /^(batch_[0-9a-f-]{36})-(\d+)$/;

export interface LineOfBatch {
  batchId: string;
  /** Of the line in the input, from 0. Blank lines have none. */
  index: number;
}

export function lineJobId({ batchId, index }: LineOfBatch): string {
  return `${batchId}-${index}`;
}

/** null: the job was submitted by itself. */
export function lineOfJob(jobId: string): LineOfBatch | null {
  const [, batchId, index] = LINE_JOB_ID.exec(jobId) ?? [];
  return batchId === undefined ? null : { batchId, index: Number(index) };
}

const BATCH_ID = /^batch_[0-9a-f-]{36}$/;

/** Batches and jobs have no id in common. */
export function isBatchId(id: string): boolean {
  return BATCH_ID.test(id);
}
