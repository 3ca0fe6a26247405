import { type Cluster, startCluster, until } from "@quern/testing/cluster";
import { type EndlessModel, writeEndlessModel } from "@quern/testing/endless-model";
import { callApi, endedJob, type Job, readSse, type SseEvent, submitJob } from "@quern/testing/jobs-api";
import { afterAll, beforeAll, expect, test } from "vitest";

// Promise: a worker that stood still for so long that it lost its jobs can say nothing more of them when it wakes.

const MAX_TOKENS = 6_000;

let endless: EndlessModel;
let cluster: Cluster;
beforeAll(async () => {
  endless = await writeEndlessModel();
  const env = { ...endless.worker.env, QUERN_LEASE_SECONDS: "2" };
  cluster = await startCluster({ workers: [{ ...endless.worker, slots: 2, env }] });
});
afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
  await endless?.[Symbol.asyncDispose]();
});

async function eventsOf(id: string): Promise<SseEvent[]> {
  return Array.fromAsync(readSse(await fetch(`${cluster.url}/v1/jobs/${id}/events`)));
}

test("its jobs end elsewhere, once, and its late writes are turned away", async () => {
  const { url, workers } = cluster;
  const body = {
    model: endless.model,
    messages: [{ role: "user", content: "Tell me a tale." }],
    max_tokens: MAX_TOKENS,
  };
  const jobs = await Promise.all([1, 2].map(() => submitJob(url, body)));
  const followed = jobs.map(({ id }) => eventsOf(id));
  await until(async () => {
    const seen = await Promise.all(jobs.map(({ id }) => callApi<Job>(`${url}/v1/jobs/${id}`)));
    return seen.every(({ status }) => status === "running");
  });
  const [frozen] = workers;
  if (frozen === undefined) throw new Error("there is a worker");
  process.kill(frozen.pid, "SIGSTOP");
  try {
    await cluster.startWorker({
      ...endless.worker,
      slots: 2,
      env: { ...endless.worker.env, QUERN_LEASE_SECONDS: "2" },
    });
    await until(async () => {
      const seen = await Promise.all(jobs.map(({ id }) => callApi<Job>(`${url}/v1/jobs/${id}`)));
      return seen.every(({ attempt }) => attempt === 2);
    });
  } finally {
    // It wakes while its successor is at work, with all that its engine has said meanwhile.
    process.kill(frozen.pid, "SIGCONT");
  }
  for (const { id } of jobs) {
    await until(async () =>
      frozen
        .output()
        .split("\n")
        .some((line) => line.includes(id) && line.includes('"msg":"job lost"')),
    );
  }
  for (const [at, { id }] of jobs.entries()) {
    const job = await endedJob(url, id);
    expect(job).toMatchObject({ status: "completed", attempt: 2, usage: { completion_tokens: MAX_TOKENS } });
    const events = (await followed[at]) ?? [];
    expect(events).toEqual(await eventsOf(id));
    const numbers = events.map(({ id: eventId }) => (eventId ?? "").split("-").map(Number));
    expect(numbers.map(([, seq]) => seq)).toEqual(events.map((_, position) => position + 1));
    const epochs = numbers.map(([epoch]) => epoch as number);
    expect(epochs).toEqual([...epochs].sort());
    const text = events.map(({ data }) => (JSON.parse(data) as { text?: string }).text ?? "").join("");
    expect(text).toBe(job.response?.body.choices[0]?.message.content);
    expect(endless.text.repeat(20).startsWith(text)).toBe(true);
  }
});
