import { startCluster, until } from "@quern/testing/cluster";
import { callApi, endedJob, type Job } from "@quern/testing/jobs-api";
import { expect, test } from "vitest";
import { servedModel } from "../cluster/served-model.ts";
import { DEMO_MODEL } from "../command/models.ts";
import { instantEngine } from "./instant-engine.ts";

test("a worker whose engine answers at once runs jobs as any other", async () => {
  await using cluster = await startCluster({ workers: [{ model: DEMO_MODEL, env: instantEngine }] });
  const model = await servedModel(cluster.url);
  const body = { model, messages: [{ role: "user", content: "Hello" }] };
  const request = { endpoint: "/v1/chat/completions", class: "batch", body };
  const { id } = await callApi<Job>(`${cluster.url}/v1/jobs`, { body: request, status: 202 });
  const job = await endedJob(cluster.url, id);
  expect(job).toMatchObject({ status: "completed", usage: { completion_tokens: 1 } });
  expect(job.response?.body.choices[0]?.message.content).toBe("ok");
  // What spans are read from.
  await until(async () => cluster.workers[0]?.output().includes("slot_ms"));
});
