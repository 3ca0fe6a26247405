import { type Cluster, startCluster, until } from "@quern/testing/cluster";
import { callApi, chatBodyOf, endedJob, type Job, readProbes, submitJob } from "@quern/testing/jobs-api";
import { type OtlpReceiver, startOtlpReceiver } from "@quern/testing/otlp-receiver";
import { afterAll, beforeAll, expect, test } from "vitest";

// Promise: every job that has not ended says when it will, or why nobody can tell; what can't be in time is refused.

interface Measured {
  speed: { decode_tokens_per_second: number; job_seconds: number } | null;
  estimates: { start: { jobs: number; before_p50: number; before_p90: number } | null } | null;
}

const MODEL = "tiny-qwen3";
let receiver: OtlpReceiver;
let cluster: Cluster;

beforeAll(async () => {
  receiver = await startOtlpReceiver();
  cluster = await startCluster({ workers: [{ slots: 2 }], env: receiver.env });
});
afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
  await receiver?.[Symbol.asyncDispose]();
});

/** The demo model's own questions, from the first one on. */
async function submitMany(count: number): Promise<Job[]> {
  const probes = readProbes();
  const bodies = Array.from({ length: count }, (_, i) =>
    chatBodyOf(probes[i % probes.length] ?? (probes[0] as never)),
  );
  return Promise.all(bodies.map((body) => submitJob(cluster.url, body)));
}

const modelOf = () => callApi<Measured>(`${cluster.url}/v1/models/${MODEL}`);

test("before anything ran no deadline is refused for what nobody can tell", async () => {
  expect(await modelOf()).toMatchObject({ speed: null, estimates: null });
  const body = {
    endpoint: "/v1/chat/completions",
    body: chatBodyOf(readProbes()[0] as never),
    ttl_seconds: 30,
  };
  const job = await callApi<Job>(`${cluster.url}/v1/jobs`, { body, status: 202 });
  expect(await endedJob(cluster.url, job.id)).toMatchObject({ status: "completed", estimate_reason: null });
});

test("once jobs have run, those in the queue know when they begin and end", async () => {
  await Promise.all((await submitMany(40)).map(({ id }) => endedJob(cluster.url, id)));
  await until(async () => (await modelOf()).speed);
  const jobs = await submitMany(60);
  const { data } = await callApi<{ data: Job[] }>(`${cluster.url}/v1/jobs?status=queued&limit=100`);
  const queued = data.filter(({ estimated_start_at }) => estimated_start_at !== null);
  expect(queued.length).toBeGreaterThan(0);
  for (const { estimated_start_at: start, estimated_end_at: end, estimate_reason } of queued) {
    expect(estimate_reason).toBeNull();
    expect(start?.p50).toBeLessThan(start?.p90 ?? 0);
    expect(start?.p50).toBeLessThan(end?.p50 ?? 0);
  }
  const inOrder = queued.toSorted((a, b) => (a.queue_position ?? 0) - (b.queue_position ?? 0));
  const starts = inOrder.map(({ estimated_start_at }) => estimated_start_at?.p50 ?? 0);
  expect(starts).toEqual(starts.toSorted((a, b) => a - b));

  const ended = await Promise.all(jobs.map(({ id }) => endedJob(cluster.url, id)));
  expect(ended.every(({ status }) => status === "completed")).toBe(true);
  // What was told at the submission is compared with what came.
  const { estimates, speed } = await until(async () => {
    const model = await modelOf();
    return (model.estimates?.start?.jobs ?? 0) >= 60 ? model : null;
  });
  expect(speed?.decode_tokens_per_second).toBeGreaterThan(0);
  // How many hold is what `npm run bench -- eta` measures: it depends on what else the machine does.
  expect(estimates?.start?.before_p90).toBeGreaterThanOrEqual(estimates?.start?.before_p50 ?? 1);
  const [worker] = (await callApi<{ data: Measured[] }>(`${cluster.url}/v1/workers`)).data;
  expect(worker).toMatchObject({ speed: { job_seconds: expect.any(Number) }, estimates: { start: {} } });
});

test("a deadline that can't be met is refused with what to expect, and nothing is queued", async () => {
  await submitMany(100);
  const probe = chatBodyOf(readProbes()[0] as never);
  const refusal = await callApi<{ error: { code: string; message: string } }>(`${cluster.url}/v1/jobs`, {
    body: { endpoint: "/v1/chat/completions", body: probe, ttl_seconds: 0.001 },
    status: 422,
  });
  expect(refusal.error.code).toBe("deadline_infeasible");
  expect(refusal.error.message).toMatch(/about [\d.]+ s \(90% within [\d.]+ s\).*lower max_tokens/);
  const chat = await fetch(`${cluster.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-quern-ttl-seconds": "0.001" },
    body: JSON.stringify(probe),
  });
  expect([chat.status, chat.headers.get("x-quern-job-id")]).toEqual([422, null]);
  const wide = await callApi<Job>(`${cluster.url}/v1/jobs`, {
    body: { endpoint: "/v1/chat/completions", body: probe, ttl_seconds: 120 },
    status: 202,
  });
  expect(await endedJob(cluster.url, wide.id)).toMatchObject({ status: "completed" });
});

test("how far estimates were off is exported as metrics", async () => {
  await receiver.untilMetric("quern.job.start_estimate.error");
  await receiver.untilMetric("quern.job.end_estimate.error");
});
