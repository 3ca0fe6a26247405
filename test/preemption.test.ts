import { connectRedis } from "@quern/shared/redis/connect";
import { readJob } from "@quern/shared/redis/job-store";
import { type Cluster, startCluster, until } from "@quern/testing/cluster";
import { type EndlessModel, writeEndlessModel } from "@quern/testing/endless-model";
import { callApi, endedJob, type Job, readSse } from "@quern/testing/jobs-api";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";

// Promise: who waits for an answer does not wait for batch work, and batch work loses nothing but time by it.

const SLOTS = 2;
/** Some seconds of work: it must still run when the others arrive. */
const BATCH_TOKENS = 4_000;

let endless: EndlessModel;
let cluster: Cluster;
let redis: Redis;
beforeAll(async () => {
  endless = await writeEndlessModel();
  cluster = await startCluster({ workers: [{ ...endless.worker, slots: SLOTS }] });
  redis = connectRedis(cluster.redis.url, "work", () => {});
});
afterAll(async () => {
  redis?.disconnect();
  await cluster?.[Symbol.asyncDispose]();
  await endless?.[Symbol.asyncDispose]();
});

function submit(jobClass: "interactive" | "batch", maxTokens: number): Promise<Job & { class: string }> {
  const messages = [{ role: "user", content: "Tell me a tale." }];
  const body = { model: endless.model, messages, max_tokens: maxTokens };
  return callApi(`${cluster.url}/v1/jobs`, {
    body: { endpoint: "/v1/chat/completions", class: jobClass, body },
    status: 202,
  });
}

test("interactive jobs get the slots of batch jobs, which go on at their tokens", async () => {
  const batch = await Promise.all(Array.from({ length: SLOTS }, () => submit("batch", BATCH_TOKENS)));
  expect(batch.map((job) => job.class)).toEqual(Array.from({ length: SLOTS }, () => "batch"));
  const streams = batch.map(async ({ id }) =>
    Array.fromAsync(readSse(await fetch(`${cluster.url}/v1/jobs/${id}/events`))),
  );
  for (const { id } of batch) await until(async () => (await readJob(redis, id))?.firstTokenAtMs);

  const interactive = await Promise.all(Array.from({ length: SLOTS }, () => submit("interactive", 50)));
  for (const { id } of interactive)
    expect(await endedJob(cluster.url, id)).toMatchObject({ status: "completed", attempt: 1 });
  // Batch work was still going on: nobody waited for its end.
  for (const { id } of batch) expect((await readJob(redis, id))?.endedAtMs).toBeNull();

  for (const [position, { id }] of batch.entries()) {
    const ended = await endedJob(cluster.url, id);
    expect(ended).toMatchObject({ status: "completed", usage: { completion_tokens: BATCH_TOKENS } });
    expect(await readJob(redis, id)).toMatchObject({ parks: 1, attempt: 2, crashes: 0 });
    const answer = ended.response?.body.choices[0]?.message.content ?? "";
    expect(endless.text.repeat(4).startsWith(answer)).toBe(true);
    const events = (await streams[position]) ?? [];
    expect(events.filter(({ event }) => event !== "delta").map(({ event }) => event)).toEqual([
      "start",
      "end",
    ]);
    const text = events
      .map(({ event, data }) => (event === "delta" ? (JSON.parse(data).text ?? "") : ""))
      .join("");
    expect(text).toBe(answer);
  }
});

test("a batch job that is cancelled while it is parked never runs again", async () => {
  const batch = await submit("batch", 12_000);
  const filler = await submit("batch", 12_000);
  for (const { id } of [batch, filler]) await until(async () => (await readJob(redis, id))?.firstTokenAtMs);
  const holders = await Promise.all(Array.from({ length: SLOTS }, () => submit("interactive", 12_000)));
  await until(async () => (await readJob(redis, batch.id))?.state === "queued");
  await callApi(`${cluster.url}/v1/jobs/${batch.id}/cancel`, { method: "POST" });
  expect(await endedJob(cluster.url, batch.id)).toMatchObject({ status: "cancelled", attempt: 1 });
  for (const { id } of [...holders, filler]) {
    await callApi(`${cluster.url}/v1/jobs/${id}/cancel`, { method: "POST" });
    expect(await endedJob(cluster.url, id)).toMatchObject({ status: "cancelled" });
  }
});
