import { connectRedis } from "@quern/shared/redis/connect";
import { readJob, readJobState } from "@quern/shared/redis/job-store";
import { type Cluster, startCluster, until } from "@quern/testing/cluster";
import { type EndlessModel, writeEndlessModel } from "@quern/testing/endless-model";
import { callApi, endedJob, type Job, submitJob } from "@quern/testing/jobs-api";
import { ENGINE_POISON, poisonEnvironment } from "@quern/testing/poison-environment";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";

// Promise: engines that are killed from outside, however often, cost no job its answer; a job that crashes its engines fails
// all the same.

const SLOTS = 4;
/** Some seconds of work, so that all of them still run when the last engine is killed. */
const MAX_TOKENS = 3_000;
/** More than crashes would be forgiven, and each at a moment when jobs run. */
const KILLS = 5;

let endless: EndlessModel;
beforeAll(async () => {
  endless = await writeEndlessModel();
});
afterAll(() => endless?.[Symbol.asyncDispose]());

function startPoisonable(): Promise<Cluster> {
  const env = { ...endless.worker.env, ...poisonEnvironment };
  return startCluster({ workers: [{ ...endless.worker, slots: SLOTS, env }] });
}

/** `poison`: what its engine dies of, as a stop string: an engine sees no text of a prompt. */
function submit(url: string, poison: string | null): Promise<Job> {
  const messages = [{ role: "user", content: "Tell me a tale." }];
  const stop = poison === null ? {} : { stop: [poison] };
  return submitJob(url, { model: endless.model, messages, max_tokens: MAX_TOKENS, ...stop });
}

/** Kills each engine in turn as soon as one of the jobs runs in it. */
async function killEngines(url: string, redis: Redis, jobs: readonly Job[], times: number): Promise<void> {
  const killed = new Set<number>();
  while (killed.size < times) {
    const pid = await until(async () => {
      const states = await Promise.all(jobs.map(({ id }) => readJobState(redis, id)));
      if (states.every((state) => state !== "queued" && state !== "running"))
        throw new Error(`all jobs ended after ${killed.size} kills: they have to be longer`);
      const { data } = await callApi<{ data: { engine_pid: number | null }[] }>(`${url}/v1/workers`);
      const engine = data.find(({ engine_pid: pid }) => pid !== null && !killed.has(pid));
      return states.includes("running") ? engine?.engine_pid : null;
    });
    killed.add(pid);
    process.kill(pid, "SIGKILL");
  }
}

async function expectComplete(url: string, jobs: readonly Job[]): Promise<void> {
  for (const { id } of jobs) {
    const ended = await endedJob(url, id);
    expect(ended).toMatchObject({ status: "completed", error: null });
    const text = ended.response?.body.choices[0]?.message.content ?? "";
    expect(endless.text.startsWith(text)).toBe(true);
    expect(ended.usage?.completion_tokens).toBe(MAX_TOKENS);
  }
}

test("all jobs complete, and none of them counts a crash", { timeout: 180_000 }, async () => {
  await using cluster = await startPoisonable();
  const { url } = cluster;
  using redis = connect(cluster);
  const jobs = await Promise.all(Array.from({ length: SLOTS }, () => submit(url, null)));
  await killEngines(url, redis, jobs, KILLS);
  await expectComplete(url, jobs);
  for (const { id } of jobs) expect(await readJob(redis, id)).toMatchObject({ crashes: 0 });
});

test("a poison among them fails after three crashes of its own", { timeout: 180_000 }, async () => {
  await using cluster = await startPoisonable();
  const { url } = cluster;
  using redis = connect(cluster);
  const jobs = await Promise.all(Array.from({ length: SLOTS - 1 }, () => submit(url, null)));
  await killEngines(url, redis, jobs, 2);
  const poison = await submit(url, ENGINE_POISON);
  const ended = await endedJob(url, poison.id);
  expect(ended).toMatchObject({ status: "failed", error: { code: "engine_crashed" } });
  expect(ended.error?.message).toContain("died 3 times");
  await expectComplete(url, jobs);
});

function connect({ redis: { url } }: Cluster): Redis & Disposable {
  const redis = connectRedis(url, "work", () => {});
  return Object.assign(redis, { [Symbol.dispose]: () => redis.disconnect() });
}
