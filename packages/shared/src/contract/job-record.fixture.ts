import { generationRequest } from "./generation-request.fixture.ts";
import type { JobRecord } from "./job.ts";

/** A queued job's record as Redis holds it, for tests that say what matters to them. */
export function jobRecord(changes: Partial<JobRecord> = {}): JobRecord {
  return {
    id: "job_1",
    tenant: "default",
    model: "m",
    endpoint: "/v1/chat/completions",
    class: "interactive",
    state: "queued",
    attempt: 0,
    crashes: 0,
    lostAttempts: 0,
    parks: 0,
    suspectSinceMs: null,
    slots: 1,
    cancelRequested: false,
    request: generationRequest(),
    metadata: {},
    traceparent: null,
    createdAtMs: 1,
    queuedAtMs: 1,
    startedAtMs: null,
    firstTokenAtMs: null,
    endedAtMs: null,
    deadlineAtMs: null,
    claimedAtMs: null,
    size: null,
    estimate: null,
    webhook: null,
    retentionSeconds: null,
    eventsRetentionSeconds: null,
    expiresAtMs: null,
    retriedFrom: null,
    idempotencyKeyHash: null,
    line: null,
    usage: null,
    result: null,
    error: null,
    ...changes,
  };
}
