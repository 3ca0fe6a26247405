import { type Cluster, startCluster, until } from "@quern/testing/cluster";
import { callApi } from "@quern/testing/jobs-api";
import { afterAll, beforeAll, expect, test } from "vitest";

// Promise: a batch that is submitted to a new cluster before its first worker is up is answered once that worker has come.

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({ workers: [] });
});
afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
});

interface Batch {
  id: string;
  status: string;
  awaited_model: string | null;
  request_counts: object;
}

async function upload(content: string): Promise<string> {
  const form = new FormData();
  form.set("purpose", "batch");
  form.set("file", new File([content], "in.jsonl"));
  const reply = await fetch(`${cluster.url}/v1/files`, { method: "POST", body: form });
  return ((await reply.json()) as { id: string }).id;
}

test("a batch waits for the first worker of a new cluster", async () => {
  const endpoint = "/v1/chat/completions";
  const messages = [{ role: "user", content: "What is the capital of France?" }];
  const line = { custom_id: "a", method: "POST", url: endpoint, body: { model: "tiny-qwen3", messages } };
  const body = { input_file_id: await upload(JSON.stringify(line)), endpoint, completion_window: "24h" };
  const { id } = await callApi<Batch>(`${cluster.url}/v1/batches`, { body });
  const read = () => callApi<Batch>(`${cluster.url}/v1/batches/${id}`);

  await until(async () => (await read()).awaited_model === "tiny-qwen3");
  expect((await read()).status).toBe("validating");
  expect(cluster.schedulers[0]?.output()).toContain("no worker serves the batch's model yet");

  await cluster.startWorker();
  await until(async () => (await read()).status === "completed");
  expect(await read()).toMatchObject({
    awaited_model: null,
    request_counts: { total: 1, completed: 1, failed: 0 },
  });
});
