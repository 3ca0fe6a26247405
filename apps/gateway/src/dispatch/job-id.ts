import { randomUUIDv7 } from "node:crypto";

/** Ids sort by creation, which is what lists of jobs are ordered by. No `:`, which BullMQ forbids. */
export function newJobId(): string {
  return `job_${randomUUIDv7()}`;
}

const JOB_ID = /^job_[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/;

export function isJobId(text: string): boolean {
  return JOB_ID.test(text);
}
