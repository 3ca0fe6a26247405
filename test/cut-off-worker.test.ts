import { type Cluster, startCluster, until } from "@quern/testing/cluster";
import { type EndlessModel, writeEndlessModel } from "@quern/testing/endless-model";
import { callApi, endedJob, type Job, submitJob } from "@quern/testing/jobs-api";
import { startTcpProxy, type TcpProxy } from "@quern/testing/tcp-proxy";
import { afterAll, beforeAll, expect, test } from "vitest";

// Promise: a worker whose network swallows everything loses its jobs to others, and takes new ones when it is back.

const MAX_TOKENS = 6_000;

let endless: EndlessModel;
let cluster: Cluster;
let proxy: TcpProxy;
beforeAll(async () => {
  endless = await writeEndlessModel();
  cluster = await startCluster({ workers: [] });
  proxy = await startTcpProxy(cluster.redis);
});
afterAll(async () => {
  proxy?.enter({ kind: "pass", latencyMs: 0 });
  await cluster?.[Symbol.asyncDispose]();
  await proxy?.[Symbol.asyncDispose]();
  await endless?.[Symbol.asyncDispose]();
});

const tale = (maxTokens: number) => ({
  model: endless.model,
  messages: [{ role: "user", content: "Tell me a tale." }],
  max_tokens: maxTokens,
});
const jobsNow = (jobs: Job[]) =>
  Promise.all(jobs.map(({ id }) => callApi<Job>(`${cluster.url}/v1/jobs/${id}`)));

test("its jobs run elsewhere, and it rejoins", async () => {
  const { url } = cluster;
  const env = { ...endless.worker.env, QUERN_LEASE_SECONDS: "2" };
  await cluster.startWorker({
    ...endless.worker,
    slots: 2,
    env: { ...env, REDIS_URL: `redis://127.0.0.1:${proxy.port}` },
  });
  const jobs = await Promise.all([1, 2].map(() => submitJob(url, tale(MAX_TOKENS))));
  await until(async () => (await jobsNow(jobs)).every(({ status }) => status === "running"));

  proxy.enter({ kind: "blackhole" });
  const other = await cluster.startWorker({ ...endless.worker, slots: 2, env });
  await until(async () => (await jobsNow(jobs)).every(({ attempt }) => attempt === 2));
  proxy.enter({ kind: "pass", latencyMs: 0 });
  for (const { id } of jobs) {
    const job = await endedJob(url, id);
    expect(job).toMatchObject({ status: "completed", attempt: 2, usage: { completion_tokens: MAX_TOKENS } });
    expect(endless.text.repeat(20).startsWith(job.response?.body.choices[0]?.message.content ?? "-")).toBe(
      true,
    );
  }

  // Nobody else is left to answer.
  await other.kill("SIGTERM");
  expect(await endedJob(url, (await submitJob(url, tale(20))).id)).toMatchObject({
    status: "completed",
    attempt: 1,
  });
});
