import { randomUUIDv7 } from "node:crypto";
import type { NewBatch } from "../contract/batch.ts";
import type { FedLine, UnfedLine } from "./batch-lines.ts";
import { newJob } from "./new-job.fixture.ts";

/** A batch as a gateway would submit it, for tests. */
export function newBatch(changes: Partial<NewBatch> = {}): NewBatch {
  return {
    id: `batch_${randomUUIDv7()}`,
    tenant: "default",
    endpoint: "/v1/chat/completions",
    inputFileId: "file-1",
    dedupe: false,
    metadata: {},
    outputExpiresAfterSeconds: null,
    retriedFrom: null,
    traceparent: null,
    createdAtMs: 1_000,
    expiresAtMs: 86_401_000,
    webhook: null,
    ...changes,
  };
}

/** A line as a feeder makes a job of it. */
export function fedLine(index: number, { copies = 0, estimatedTokens = 10 } = {}): FedLine {
  const { id: _, line: __, ...job } = newJob({ class: "batch" });
  const position = { index, offset: 100 * index, bytes: 99 };
  return { ...position, job: { ...job, line: { customId: `line ${index}`, copies, estimatedTokens } } };
}

export function unfedLine(index: number, { copies = 0, customId = `line ${index}` } = {}): UnfedLine {
  const error = { code: "invalid_request", message: "no messages", param: "messages" };
  return { index, customId, copies, error };
}
