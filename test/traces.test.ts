import { feedLines } from "@quern/shared/redis/batch-lines";
import { createBatch, moveBatch } from "@quern/shared/redis/batch-store";
import { connectRedis } from "@quern/shared/redis/connect";
import { readJob } from "@quern/shared/redis/job-store";
import { fedLine, newBatch } from "@quern/shared/redis/new-batch.fixture";
import { startCluster, until } from "@quern/testing/cluster";
import { writeEndlessModel } from "@quern/testing/endless-model";
import { type ChatCompletion, callApi, endedJob, submitJob } from "@quern/testing/jobs-api";
import { type ReceivedSpan, startOtlpReceiver } from "@quern/testing/otlp-receiver";
import { expect, test } from "vitest";
import { JobReferences } from "../apps/scheduler/src/queue/job-references.ts";

// Promise: one trace follows a job from the HTTP request to its last token, over four processes, and tells no text.

const QUESTION = "What is the capital of France?";

test("the spans of one request form one tree", async () => {
  await using receiver = await startOtlpReceiver();
  await using cluster = await startCluster({ env: receiver.env });
  const { usage } = await callApi<ChatCompletion>(`${cluster.url}/v1/chat/completions`, {
    body: { model: "tiny-qwen3", messages: [{ role: "user", content: QUESTION }] },
  });
  await receiver.until((spans) => spans.some(({ name }) => name.startsWith("POST")) && spans.length >= 7);

  const { spans } = receiver;
  expect(new Set(spans.map(({ traceId }) => traceId)).size).toBe(1);
  expect(tree(spans, null)).toEqual([
    [
      "quern-gateway: POST /v1/chat/completions",
      [
        [
          "quern-gateway: send interactive",
          [
            [
              "quern-worker: process interactive",
              [
                [
                  "quern-worker: chat tiny-qwen3",
                  [
                    ["quern-engine: decode", []],
                    ["quern-engine: prefill", []],
                  ],
                ],
              ],
            ],
            ["quern-worker: queue wait", []],
          ],
        ],
      ],
    ],
  ]);

  const span = (name: string) => spans.find((one) => one.name === name) as ReceivedSpan;
  const [request, wait, prefill, decode] = [
    span("POST /v1/chat/completions"),
    span("queue wait"),
    span("prefill"),
    span("decode"),
  ];
  expect(request.startMs).toBeLessThanOrEqual(wait.startMs + 1);
  expect(wait.endMs).toBeLessThanOrEqual(prefill.startMs + 1);
  expect(prefill.endMs).toBe(decode.startMs);
  expect(decode.endMs).toBeLessThanOrEqual(request.endMs);
  expect(Number(span("chat tiny-qwen3").attributes["gen_ai.usage.output_tokens"])).toBe(
    usage.completion_tokens,
  );
  expect(JSON.stringify(spans)).not.toMatch(/France|Paris/);
});

test("each line of a batch is a trace of its own, linked to that of the batch", async () => {
  await using receiver = await startOtlpReceiver();
  await using cluster = await startCluster({ env: receiver.env, schedulers: [] });
  const redis = connectRedis(cluster.redis.url, "work", () => {});
  const references = new JobReferences(redis, () => {});
  const traceId = "0af7651916cd43dd8448eb211c80319c";
  const traceparent = `00-${traceId}-b7ad6b7169203331-01`;
  const { id } = newBatch({ traceparent });
  await createBatch(redis, newBatch({ id, traceparent }));
  await moveBatch(redis, id, "validated", null, Date.now(), { model: "tiny-qwen3", total: 2 });
  const lines = [fedLine(0), fedLine(1)].map((line) => ({ ...line, job: { ...line.job, traceparent } }));
  const jobIds = (await feedLines(redis, id, lines)) ?? [];
  await references.putAll({ model: "tiny-qwen3", class: "batch" }, jobIds);
  const ofBatch = (spans: readonly ReceivedSpan[]) => spans.filter(({ name }) => name === "process batch");
  await receiver.until((spans) => ofBatch(spans).length === 2);

  const roots = ofBatch(receiver.spans);
  expect(new Set(roots.map((span) => span.traceId)).size).toBe(2);
  for (const root of roots) {
    expect(root).toMatchObject({ parentSpanId: null, linkedTraceIds: [traceId] });
    const children = receiver.spans.filter(({ parentSpanId }) => parentSpanId === root.spanId);
    expect(children.map(({ name }) => name).toSorted()).toEqual(["chat tiny-qwen3", "queue wait"]);
  }
  await references.close();
  redis.disconnect();
});

test("an attempt whose end Redis refuses leaves its spans, with what went wrong", async () => {
  await using endless = await writeEndlessModel();
  await using receiver = await startOtlpReceiver();
  await using cluster = await startCluster({ env: receiver.env, workers: [endless.worker] });
  const redis = connectRedis(cluster.redis.url, "work", () => {});
  try {
    const messages = [{ role: "user", content: QUESTION }];
    const job = await submitJob(cluster.url, { model: endless.model, messages, max_tokens: 500 });
    await until(async () => (await readJob(redis, job.id))?.firstTokenAtMs);
    await redis.config("SET", "maxmemory", "1mb");
    await receiver.until((spans) => spans.some(({ name }) => name === "process interactive"));
    await redis.config("SET", "maxmemory", "0");
    expect(await endedJob(cluster.url, job.id)).toMatchObject({ status: "completed" });
    const [broken] = receiver.spans.filter(({ name }) => name === "process interactive");
    expect(broken?.attributes).toMatchObject({ "error.type": "internal_error" });
    expect(receiver.spans.some(({ name }) => name === `chat ${endless.model}`)).toBe(true);
  } finally {
    redis.disconnect();
  }
});

/** Names with their children, in alphabetical order. */
function tree(spans: readonly ReceivedSpan[], parentSpanId: string | null): unknown[] {
  return spans
    .filter((span) => span.parentSpanId === parentSpanId)
    .map((span) => [`${span.service}: ${span.name}`, tree(spans, span.spanId)] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1));
}
