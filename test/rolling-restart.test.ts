import { connectRedis } from "@quern/shared/redis/connect";
import { readJob } from "@quern/shared/redis/job-store";
import { startCluster, until } from "@quern/testing/cluster";
import { writeEndlessModel } from "@quern/testing/endless-model";
import { callApi, endedJob, type Job } from "@quern/testing/jobs-api";
import { expect, test } from "vitest";

// Promise: workers are replaced one after the other under load, and nothing is lost, failed or told twice.

const JOBS = 24;
const MAX_TOKENS = 2_000;

interface Workers {
  data: { pid: number; state: string; busy: number }[];
}

test("a rolling restart of all workers under load", { timeout: 120_000 }, async () => {
  await using endless = await writeEndlessModel();
  // No grace: what runs is handed back at its token, which is the harder way.
  const worker = { ...endless.worker, slots: 4 };
  const options = { ...worker, env: { ...worker.env, QUERN_DRAIN_GRACE_SECONDS: "0" } };
  await using cluster = await startCluster({ workers: [options, options] });
  const { url } = cluster;
  const redis = connectRedis(cluster.redis.url, "work", () => {});
  await using closing = new AsyncDisposableStack();
  closing.defer(() => redis.disconnect());

  const messages = [{ role: "user", content: "Tell me a tale." }];
  const submitted = await Promise.all(
    Array.from({ length: JOBS }, (_, position) =>
      callApi<Job>(`${url}/v1/jobs`, {
        body: {
          endpoint: "/v1/chat/completions",
          class: position % 2 === 0 ? "interactive" : "batch",
          body: { model: endless.model, messages, max_tokens: MAX_TOKENS },
        },
        status: 202,
      }),
    ),
  );
  for (const old of [...cluster.workers]) {
    await until(async () => (await workerOf(url, old.pid))?.busy);
    expect(await old.kill("SIGTERM")).toBe(0);
    expect(await workerOf(url, old.pid)).toBeUndefined();
    await cluster.startWorker(options);
  }

  let handedBack = 0;
  for (const { id } of submitted) {
    const ended = await endedJob(url, id);
    expect(ended).toMatchObject({ status: "completed", usage: { completion_tokens: MAX_TOKENS } });
    expect(endless.text.repeat(2).startsWith(ended.response?.body.choices[0]?.message.content ?? "")).toBe(
      true,
    );
    const record = await readJob(redis, id);
    expect(record).toMatchObject({ crashes: 0, lostAttempts: 0, suspectSinceMs: null });
    if ((record?.attempt ?? 0) > 1) handedBack += 1;
  }
  expect(handedBack).toBeGreaterThan(0);
});

test("a worker that drains says so at once, and finishes what runs within its grace", async () => {
  await using endless = await writeEndlessModel();
  await using cluster = await startCluster({ workers: [{ ...endless.worker, slots: 2 }] });
  const { url } = cluster;
  const [worker] = cluster.workers;
  const body = {
    model: endless.model,
    messages: [{ role: "user", content: "Tell me a tale." }],
    max_tokens: 6_000,
  };
  const submit = () =>
    callApi<Job>(`${url}/v1/jobs`, { body: { endpoint: "/v1/chat/completions", body }, status: 202 });
  const [running, alsoRunning] = [await submit(), await submit()];
  for (const { id } of [running, alsoRunning]) {
    await until(async () => (await callApi<Job>(`${url}/v1/jobs/${id}`)).status === "running");
  }
  const exited = worker?.kill("SIGTERM");
  await until(async () => (await workerOf(url, worker?.pid ?? 0))?.state === "draining");
  // It still has its last ones, and takes nothing new.
  expect((await callApi<Job>(`${url}/v1/jobs/${running.id}`)).status).toBe("running");
  const late = await submit();
  expect(await exited).toBe(0);
  for (const { id } of [running, alsoRunning]) {
    expect(await endedJob(url, id)).toMatchObject({ status: "completed", attempt: 1 });
  }
  expect(await callApi<Job>(`${url}/v1/jobs/${late.id}`)).toMatchObject({ status: "queued", attempt: 0 });
});

async function workerOf(url: string, pid: number): Promise<Workers["data"][number] | undefined> {
  const { data } = await callApi<Workers>(`${url}/v1/workers`);
  return data.find((worker) => worker.pid === pid);
}
