import { type Cluster, startCluster, until } from "@quern/testing/cluster";
import { type EndlessModel, writeEndlessModel } from "@quern/testing/endless-model";
import { callApi, endedJob, type Job, submitJob } from "@quern/testing/jobs-api";
import { afterAll, beforeAll, expect, test } from "vitest";

// Promise: a job that did not complete can be asked for again, as a new job; an end never changes. What ended is kept for its time.

let endless: EndlessModel;
let cluster: Cluster;
beforeAll(async () => {
  endless = await writeEndlessModel();
  cluster = await startCluster({
    workers: [{ ...endless.worker, slots: 2 }],
    env: { QUERN_RETENTION_SECONDS: "1000", QUERN_EVENTS_RETENTION_SECONDS: "2" },
  });
});
afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
  await endless?.[Symbol.asyncDispose]();
});

type RetriedJob = Job & { retried_from: string | null; expires_at: number | null; metadata: object };

const tale = (maxTokens: number) => ({
  model: endless.model,
  messages: [{ role: "user", content: "Tell me a tale." }],
  max_tokens: maxTokens,
  seed: 7,
});
const jobUrl = (id: string) => `${cluster.url}/v1/jobs/${id}`;
const retry = (id: string, status: number) =>
  callApi<RetriedJob & { error: { code: string } }>(`${jobUrl(id)}/retry`, { method: "POST", status });

test("a cancelled job is asked again; the old one stays as it ended", async () => {
  const { id } = await submitJob(cluster.url, tale(3_000), { order: "7" });
  await until(async () => (await callApi<Job>(jobUrl(id))).status === "running");
  await callApi(`${jobUrl(id)}/cancel`, { method: "POST" });
  const old = await endedJob(cluster.url, id);
  expect(old.status).toBe("cancelled");

  const again = await retry(id, 202);
  expect(again).toMatchObject({ retried_from: id, metadata: { order: "7" } });
  expect(again.id).not.toBe(id);
  const done = await endedJob(cluster.url, again.id);
  expect(done).toMatchObject({ status: "completed", usage: { completion_tokens: 3_000 } });
  expect(await callApi<Job>(jobUrl(id))).toEqual(old);
  expect((await retry(again.id, 409)).error.code).toBe("job_not_retryable");
});

test("a job that has not ended is not retried", async () => {
  const { id } = await submitJob(cluster.url, tale(16_000));
  await until(async () => (await callApi<Job>(jobUrl(id))).status === "running");
  const reply = await fetch(`${jobUrl(id)}/retry`, { method: "POST" });
  expect(reply.status).toBe(409);
  // Clients of OpenAI's would otherwise try again.
  expect(reply.headers.get("x-should-retry")).toBe("false");
  await callApi(`${jobUrl(id)}/cancel`, { method: "POST" });
  await callApi(jobUrl("job_019aad2e-7d1c-7b3a-9a55-3f0c6d2b8e41/retry"), { method: "POST", status: 404 });
});

test("an ended job says until when it is kept; its events may go before", async () => {
  const { id } = await submitJob(cluster.url, tale(5));
  const job = (await endedJob(cluster.url, id)) as RetriedJob;
  expect((job.expires_at ?? 0) - (job.ended_at ?? 0)).toBeCloseTo(1_000);
  const gone = await until(async () => {
    const reply = await fetch(`${jobUrl(id)}/events`);
    if (reply.status === 410) return reply;
    await reply.text();
    return null;
  });
  expect(await gone.json()).toMatchObject({ error: { code: "events_expired" } });
  expect((await callApi<Job>(jobUrl(id))).response?.body.choices[0]?.message.content).not.toBe("");
});
