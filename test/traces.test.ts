import { startCluster } from "@quern/testing/cluster";
import { type ChatCompletion, callApi } from "@quern/testing/jobs-api";
import { type ReceivedSpan, startOtlpReceiver } from "@quern/testing/otlp-receiver";
import { expect, test } from "vitest";

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

/** Names with their children, in alphabetical order. */
function tree(spans: readonly ReceivedSpan[], parentSpanId: string | null): unknown[] {
  return spans
    .filter((span) => span.parentSpanId === parentSpanId)
    .map((span) => [`${span.service}: ${span.name}`, tree(spans, span.spanId)] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1));
}
