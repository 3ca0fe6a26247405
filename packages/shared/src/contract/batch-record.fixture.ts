import type { BatchRecord } from "./batch.ts";

/** A batch that was just submitted, for tests. */
export function batchRecord(changes: Partial<BatchRecord> = {}): BatchRecord {
  return {
    id: "batch_019aad2e-7d1c-7b3a-9a55-3f0c6d2b8e41",
    tenant: "default",
    endpoint: "/v1/chat/completions",
    model: null,
    awaitedModel: null,
    inputFileId: "file-1",
    status: "validating",
    pausedAtMs: null,
    dedupe: false,
    metadata: {},
    outputExpiresAfterSeconds: null,
    retriedFrom: null,
    traceparent: null,
    webhook: null,
    errors: [],
    outputFileId: null,
    errorFileId: null,
    createdAtMs: 1_500,
    inProgressAtMs: null,
    expiresAtMs: 86_401_500,
    finalizingAtMs: null,
    completedAtMs: null,
    failedAtMs: null,
    expiredAtMs: null,
    cancellingAtMs: null,
    cancelledAtMs: null,
    total: 0,
    completed: 0,
    failed: 0,
    usage: { promptTokens: 0, completionTokens: 0, reasoningTokens: 0, cachedTokens: 0 },
    progress: null,
    ...changes,
  };
}
