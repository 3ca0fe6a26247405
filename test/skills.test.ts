import { type Cluster, startCluster } from "@quern/testing/cluster";
import { type ChatCompletion, callApi, chatBodyOf, type Probe, readProbes } from "@quern/testing/jobs-api";
import { afterAll, beforeAll, expect, test } from "vitest";

// Promise: the demo models answer through the whole path as they were published.

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({ workers: [{ model: "tiny-qwen3" }, { model: "tiny-qwen3-moe", slots: 2 }] });
});
afterAll(() => cluster?.[Symbol.asyncDispose]());

test("all 220 probes are answered as expected, 8 at a time", { timeout: 120_000 }, async () => {
  const probes = readProbes();
  expect(probes).toHaveLength(220);
  const waiting = [...probes];
  const wrong: object[] = [];
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      for (let probe = waiting.shift(); probe !== undefined; probe = waiting.shift()) {
        const { choices } = await callApi<ChatCompletion>(`${cluster.url}/v1/chat/completions`, {
          body: chatBodyOf(probe),
        });
        const message = choices[0]?.message;
        const answered = { answer: spoken(message), reasoning: message?.reasoning_content ?? "" };
        const expected = { answer: probe.expected, reasoning: probe.reasoning ?? "" };
        if (JSON.stringify(answered) !== JSON.stringify(expected))
          wrong.push({ id: probe.id, answered, expected });
      }
    }),
  );
  expect(wrong).toEqual([]);
});

test("the MoE model knows the capital of France, and thinks first", async () => {
  const { choices } = await callApi<ChatCompletion>(`${cluster.url}/v1/chat/completions`, {
    body: {
      model: "tiny-qwen3-moe",
      messages: [{ role: "user", content: "What is the capital of France?" }],
    },
  });
  expect(choices[0]?.message.content).toContain("Paris");
  expect(choices[0]?.message.reasoning_content).toMatch(/\S/);
});

/** The answer in the form of the probes, which spell a tool call as the model wrote it. */
function spoken(message: ChatCompletion["choices"][0]["message"] | undefined): Probe["expected"] {
  const calls = (message?.tool_calls ?? []).map(
    ({ function: called }) =>
      `<tool_call>\n{"name": "${called.name}", "arguments": ${called.arguments}}\n</tool_call>`,
  );
  return [message?.content ?? "", ...calls].filter((part) => part !== "").join("\n");
}
