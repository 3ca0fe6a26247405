import { randomUUIDv7 } from "node:crypto";
import { generationRequest } from "../contract/generation-request.fixture.ts";
import type { NewJob } from "../contract/job.ts";
import type { HandBack } from "./job-store.ts";

/** A job as a gateway would submit it, for tests. */
export function newJob(changes: Partial<NewJob> = {}): NewJob {
  return {
    id: `job_${randomUUIDv7()}`,
    tenant: "default",
    model: "tiny-qwen3",
    endpoint: "/v1/chat/completions",
    class: "interactive",
    metadata: {},
    traceparent: null,
    createdAtMs: 1_000,
    request: generationRequest(),
    ...changes,
  };
}

/** As a worker that drains gives back a job that has said nothing. */
export const handBack: HandBack = { because: "given_back", events: [] };
