import { startCluster, until } from "@quern/testing/cluster";
import { callApi, endedJob, type Job } from "@quern/testing/jobs-api";
import { expect, test } from "vitest";

// Promise: a worker with the scripted engine runs jobs as any other, without loading weights.

test("a job on the scripted engine is answered, and the same prompt is answered alike", async () => {
  await using cluster = await startCluster({ workers: [{ env: { QUERN_ENGINE: "scripted" } }] });
  const body = { model: "tiny-qwen3", messages: [{ role: "user", content: "Hello" }] };
  const request = { endpoint: "/v1/chat/completions", class: "batch", body };
  const answers = [];
  for (let i = 0; i < 2; i++) {
    const { id } = await callApi<Job>(`${cluster.url}/v1/jobs`, { body: request, status: 202 });
    const job = await endedJob(cluster.url, id);
    expect(job).toMatchObject({ status: "completed" });
    answers.push(job.response?.body.choices[0]?.message.content);
  }
  expect(answers[0]).toMatch(/^[a-z]+( [a-z]+)*$/);
  expect(answers[1]).toBe(answers[0]);
  // The benchmarks read a job's times from this line.
  await until(async () => cluster.workers[0]?.output().includes("slot_ms"));
});
