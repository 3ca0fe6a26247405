import { jobKey } from "@quern/shared/contract/names";
import { connectRedis } from "@quern/shared/redis/connect";
import { readJob } from "@quern/shared/redis/job-store";
import { type Cluster, startCluster, until } from "@quern/testing/cluster";
import { type EndlessModel, writeEndlessModel } from "@quern/testing/endless-model";
import { callApi, endedJob, type Job, submitJob } from "@quern/testing/jobs-api";
import { ENGINE_POISON, poisonEnvironment, WORKER_POISON } from "@quern/testing/poison-environment";
import type { Redis } from "ioredis";
import OpenAI, { InternalServerError } from "openai";
import { afterAll, beforeAll, expect, test } from "vitest";

// Promise: a job that kills its engine, or its whole worker, fails by itself; whatever ran beside it completes.

const SLOTS = 16;
/** Some seconds of work for so many: all of them still run when the poison comes. */
const MAX_TOKENS = 1_500;
/** In a row, without getting further (`crash-verdict.ts`). */
const LOSSES_THAT_FAIL = 20;

let endless: EndlessModel;
beforeAll(async () => {
  endless = await writeEndlessModel();
});
afterAll(() => endless?.[Symbol.asyncDispose]());

function startPoisonable(workers: number, env: Record<string, string> = {}): Promise<Cluster> {
  const worker = { ...endless.worker, slots: SLOTS };
  return startCluster({
    workers: Array.from({ length: workers }, () => ({
      ...worker,
      env: { ...worker.env, ...poisonEnvironment, ...env },
    })),
  });
}

/** `poison`: what its engine dies of; an engine sees no text of a prompt, but the stop strings of a request. */
function submit(url: string, poison: string | null): Promise<Job> {
  return submitJob(url, {
    model: endless.model,
    messages: [{ role: "user", content: "Tell me a tale." }],
    max_tokens: MAX_TOKENS,
    ...(poison === null ? {} : { stop: [poison] }),
  });
}

/** 15 jobs that speak, and the poison beside them. */
async function submitAmongOthers(
  url: string,
  redis: Redis,
  poison: string,
): Promise<{ others: Job[]; culprit: Job }> {
  const others = await Promise.all(Array.from({ length: SLOTS - 1 }, () => submit(url, null)));
  for (const { id } of others) await until(async () => (await readJob(redis, id))?.firstTokenAtMs);
  return { others, culprit: await submit(url, poison) };
}

async function expectOneFailure(
  url: string,
  { others, culprit }: { others: Job[]; culprit: Job },
): Promise<void> {
  expect(await endedJob(url, culprit.id)).toMatchObject({
    status: "failed",
    error: { code: "engine_crashed" },
  });
  for (const { id } of others) {
    const ended = await endedJob(url, id);
    expect(ended).toMatchObject({
      status: "completed",
      usage: { completion_tokens: MAX_TOKENS },
      error: null,
    });
    const text = ended.response?.body.choices[0]?.message.content ?? "";
    expect(endless.text.startsWith(text)).toBe(true);
  }
  const dead = await callApi<{ data: Job[] }>(`${url}/v1/jobs?status=failed`);
  expect(dead.data.map(({ id }) => id)).toEqual([culprit.id]);
}

async function withRedis(cluster: Cluster, check: (redis: Redis) => Promise<void>): Promise<void> {
  const redis = connectRedis(cluster.redis.url, "work", () => {});
  try {
    await check(redis);
  } finally {
    redis.disconnect();
  }
}

test("15 of 16 jobs in one engine complete, the one that kills it fails after three deaths", async () => {
  await using cluster = await startPoisonable(1);
  const { url } = cluster;
  await withRedis(cluster, async (redis) => {
    const jobs = await submitAmongOthers(url, redis, ENGINE_POISON);
    await expectOneFailure(url, jobs);
    expect((await readJob(redis, jobs.culprit.id))?.attempt).toBe(3);
    for (const { id } of jobs.others) expect(await readJob(redis, id)).toMatchObject({ crashes: 1 });
  });
  expect(cluster.workers[0]?.output().match(/engine died, restarting/g)).toHaveLength(3);
});

test("OpenAI's client does not send again what killed engines", async () => {
  await using cluster = await startPoisonable(1);
  const client = new OpenAI({ baseURL: `${cluster.url}/v1`, apiKey: "unused", maxRetries: 2 });
  const messages = [{ role: "user" as const, content: "Tell me a tale." }];
  const body = { model: endless.model, messages, stop: [ENGINE_POISON] };
  const error = await client.chat.completions.create(body).catch((thrown: unknown) => thrown);
  if (!(error instanceof InternalServerError)) throw error;
  expect(error.code).toBe("engine_crashed");
  expect(error.headers.get("x-should-retry")).toBe("false");
  const { data } = await callApi<{ data: Job[] }>(`${cluster.url}/v1/jobs`);
  expect(data).toHaveLength(1);
});

test("a job that takes its worker with it is found out too", { timeout: 180_000 }, async () => {
  await using cluster = await startPoisonable(1, { QUERN_LEASE_SECONDS: "2" });
  const { url } = cluster;
  await withRedis(cluster, async (redis) => {
    const jobs = await submitAmongOthers(url, redis, WORKER_POISON);
    const ended = new AbortController();
    const restarting = restartWorkers(cluster, ended.signal);
    // The others got further, so it alone is a suspect from the second loss on.
    await until(async () => (await readJob(redis, jobs.culprit.id))?.suspectSinceMs);
    for (const { id } of jobs.others) {
      expect(await readJob(redis, id)).toMatchObject({ suspectSinceMs: null });
    }
    // Twenty losses take minutes: the test goes on shortly before the last.
    await redis.hset(jobKey(jobs.culprit.id), "kills", LOSSES_THAT_FAIL - 2);
    await expectOneFailure(url, jobs);
    ended.abort();
    expect(await restarting).toBeGreaterThanOrEqual(4);
    expect(await readJob(redis, jobs.culprit.id)).toMatchObject({ kills: LOSSES_THAT_FAIL, crashes: 0 });
  });
});

/** Starts another worker whenever the last one is gone; resolves with how many it were when it is to end. */
async function restartWorkers(cluster: Cluster, signal: AbortSignal): Promise<number> {
  const { env, ...worker } = { ...endless.worker, slots: SLOTS };
  for (let deaths = 0; ; deaths++) {
    const last = cluster.workers.at(-1)?.pid ?? 0;
    await until(async () => signal.aborted || !isAlive(last));
    if (signal.aborted) return deaths;
    await cluster.startWorker({ ...worker, env: { ...env, ...poisonEnvironment, QUERN_LEASE_SECONDS: "2" } });
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
