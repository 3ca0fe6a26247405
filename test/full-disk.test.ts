import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Cluster, startCluster, until } from "@quern/testing/cluster";
import { type EndlessModel, writeEndlessModel } from "@quern/testing/endless-model";
import { limitFileSize } from "@quern/testing/full-disk";
import { callApi, endedJob, type Job, submitJob } from "@quern/testing/jobs-api";
import { afterAll, beforeAll, expect, test } from "vitest";

// Promise: when Redis' disk is full nothing new is accepted, and nothing that was accepted is lost.

let dataDir: string;
let endless: EndlessModel;
let cluster: Cluster;
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "quern-full-disk-"));
  endless = await writeEndlessModel();
  cluster = await startCluster({
    workers: [{ ...endless.worker, env: { ...endless.worker.env, QUERN_LEASE_SECONDS: "2" } }],
    redis: { kind: "process", dataDir, survivesFullDisk: true },
  });
});
afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
  await endless?.[Symbol.asyncDispose]();
  await rm(dataDir, { recursive: true, force: true });
});

const tale = (maxTokens: number) => ({
  model: endless.model,
  messages: [{ role: "user", content: "Tell me a tale." }],
  max_tokens: maxTokens,
});

test("503 while there is no room, and what ran ends when there is some", async () => {
  const pid = cluster.redis.pid as number;
  const { id } = await submitJob(cluster.url, tale(3_000));
  await until(async () => (await callApi<Job>(`${cluster.url}/v1/jobs/${id}`)).status === "running");

  await limitFileSize(pid, 1);
  const notReady = await until(async () => {
    const reply = await fetch(`${cluster.url}/readyz`);
    return reply.status === 503 ? reply : null;
  });
  expect(await notReady.json()).toMatchObject({
    reasons: ["redis_refuses_writes"],
    message: expect.stringContaining("disk"),
  });
  for (const [path, request] of [
    ["/v1/jobs", { endpoint: "/v1/chat/completions", body: tale(5) }],
    ["/v1/chat/completions", tale(5)],
    [`/v1/jobs/${id}/cancel`, {}],
  ] as const) {
    const reply = await fetch(`${cluster.url}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(request),
    });
    expect(reply.status, path).toBe(503);
    expect(Number(reply.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(await reply.json()).toMatchObject({ error: { code: "redis_unavailable" } });
  }
  // What was accepted can still be asked for.
  expect((await callApi<Job>(`${cluster.url}/v1/jobs/${id}`)).status).toBe("running");

  await limitFileSize(pid, null);
  await until(async () => (await fetch(`${cluster.url}/readyz`)).ok);
  const job = await endedJob(cluster.url, id);
  expect(job).toMatchObject({ status: "completed", usage: { completion_tokens: 3_000 } });
  const text = job.response?.body.choices[0]?.message.content ?? "";
  expect(text.length).toBeGreaterThan(1_000);
  expect(endless.text.repeat(10).startsWith(text)).toBe(true);
  expect((await endedJob(cluster.url, (await submitJob(cluster.url, tale(5))).id)).status).toBe("completed");
});
