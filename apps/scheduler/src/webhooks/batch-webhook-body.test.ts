import type { BatchFault } from "@quern/shared/contract/batch";
import { batchRecord } from "@quern/shared/contract/batch-record.fixture";
import { expect, test } from "vitest";
import { batchWebhookBody } from "./batch-webhook-body.ts";

const fault: BatchFault = { code: "invalid_json_line", message: "x".repeat(400), param: null, line: 1 };
const faults = (count: number) => Array.from({ length: count }, () => fault);

test("a receiver is told what the API shows, but for where it is told", () => {
  const record = batchRecord({ status: "failed", failedAtMs: 5_000, errors: faults(3) });
  const body = JSON.parse(batchWebhookBody(record));
  expect(body).toMatchObject({
    type: "batch.failed",
    timestamp: "1970-01-01T00:00:05.000Z",
    data: { id: record.id, status: "failed", errors: { data: faults(3) } },
  });
  expect(body.data).not.toHaveProperty("webhook");
});

test("of more faults than fit, the first are told", () => {
  const body = batchWebhookBody(batchRecord({ status: "failed", errors: faults(100) }));
  expect(Buffer.byteLength(body)).toBeLessThanOrEqual(20_000);
  expect(JSON.parse(body).data.errors.data).toEqual(faults(10));
});

test("one that can't fit is its id and status", () => {
  const many = batchRecord({ status: "failed", errors: [{ ...fault, message: "x".repeat(30_000) }] });
  expect(JSON.parse(batchWebhookBody(many)).data).toEqual({ id: many.id, object: "batch", status: "failed" });
});

test("a batch that is not over is no news", () => {
  expect(() => batchWebhookBody(batchRecord({ status: "in_progress" }))).toThrow("is not over");
});
