import type { JobRecord } from "@quern/shared/contract/job";
import { jobRecord } from "@quern/shared/contract/job-record.fixture";
import { pendingWebhook } from "@quern/shared/contract/webhook";
import { expect, test } from "vitest";
import { webhookBody, webhookId } from "./webhook-body.ts";

function completed(text: string, changes: Partial<JobRecord> = {}): JobRecord {
  return jobRecord({
    id: "job_019aad2e-7d1c-7b3a-9a55-3f0c6d2b8e41",
    state: "completed",
    attempt: 1,
    metadata: { order: "7" },
    createdAtMs: 1_000,
    queuedAtMs: 1_000,
    startedAtMs: 1_100,
    firstTokenAtMs: 1_200,
    endedAtMs: 2_500,
    claimedAtMs: 1_100,
    webhook: pendingWebhook("https://example.com/hook?token=hunter2", "tenant"),
    usage: { promptTokens: 3, completionTokens: 2, reasoningTokens: 0, cachedTokens: 0 },
    result: { text, reasoning: "", toolCalls: [], finishReason: "stop", logprobs: null, alternatives: [] },
    ...changes,
  });
}

test("a receiver is told the whole job, but not where it is told", () => {
  const body = webhookBody(completed("Paris"));
  expect(JSON.parse(body)).toMatchObject({
    type: "job.completed",
    timestamp: "1970-01-01T00:00:02.500Z",
    data: {
      id: "job_019aad2e-7d1c-7b3a-9a55-3f0c6d2b8e41",
      object: "job",
      status: "completed",
      metadata: { order: "7" },
      usage: { completion_tokens: 2 },
      response: { body: { choices: [{ message: { content: "Paris" } }] } },
    },
  });
  expect(body).not.toContain("hunter2");
});

test("an answer that makes the body too large is left out, and then all but the id", () => {
  // Three bytes a character: what counts is what is sent.
  const large = webhookBody(completed("語".repeat(7_000)));
  expect(Buffer.byteLength(large)).toBeLessThan(1_500);
  expect(JSON.parse(large).data).toMatchObject({
    status: "completed",
    metadata: { order: "7" },
    response: null,
  });

  const pairs = Array.from({ length: 16 }, (_, i) => [`key${i}`, "語".repeat(512)]);
  const largest = webhookBody(completed("語".repeat(7_000), { metadata: Object.fromEntries(pairs) }));
  expect(JSON.parse(largest).data).toEqual({
    id: "job_019aad2e-7d1c-7b3a-9a55-3f0c6d2b8e41",
    object: "job",
    status: "completed",
  });
});

test.each(["failed", "cancelled", "expired"] as const)("a job that is %s says so in its type", (state) => {
  const ended = { ...completed(""), state, result: null, usage: null };
  expect(JSON.parse(webhookBody(ended))).toMatchObject({ type: `job.${state}`, data: { status: state } });
});

test("a job that has not ended has nothing to tell", () => {
  expect(() => webhookBody({ ...completed(""), state: "running" })).toThrow("has not ended");
});

test("the id of a message follows from the job's", () => {
  expect(webhookId("job_019aad2e")).toBe("msg_019aad2e");
});
