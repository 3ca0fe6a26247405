import { type Cluster, startCluster, until } from "@quern/testing/cluster";
import { callApi, endedJob, type Job } from "@quern/testing/jobs-api";
import { afterAll, beforeAll, expect, test } from "vitest";

// Promise: a gateway that is busy accepts jobs late, but says what became of each: nothing runs for a caller who was told
// that it failed.

const SUBMITS = 300;
/** Longer than the limits on Redis' answers. */
const STANDSTILL_MS = 1_500;

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster();
  await until(async () => (await fetch(`${cluster.url}/readyz`)).ok);
});
afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
});

/** The id of the job; null when the gateway refused it. */
async function submit(number: number): Promise<string | null> {
  const reply = await fetch(`${cluster.url}/v1/jobs`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      endpoint: "/v1/chat/completions",
      class: "batch",
      metadata: { number: String(number) },
      body: { model: "tiny-qwen3", messages: [{ role: "user", content: "Hi" }], max_tokens: 1 },
    }),
  });
  const { id } = (await reply.json()) as { id?: string };
  expect([202, 503]).toContain(reply.status);
  return reply.status === 202 ? (id as string) : null;
}

async function allJobs(): Promise<Job[]> {
  const jobs: Job[] = [];
  for (let after = ""; ; ) {
    const page = await callApi<{ data: Job[]; has_more: boolean; last_id: string }>(
      `${cluster.url}/v1/jobs?limit=100${after}`,
    );
    jobs.push(...page.data);
    if (!page.has_more) return jobs;
    after = `&after=${page.last_id}`;
  }
}

test("a burst of submits that meets a gateway at a standstill is accepted, and each caller knows its job", async () => {
  const submits = Array.from({ length: SUBMITS }, (_, number) => submit(number));
  const [gateway] = cluster.gateways;
  // When it has accepted some of them, it stands still in the middle of others.
  await Promise.any(submits);
  process.kill(gateway?.pid as number, "SIGSTOP");
  await new Promise((resolve) => setTimeout(resolve, STANDSTILL_MS));
  process.kill(gateway?.pid as number, "SIGCONT");

  const ids = await Promise.all(submits);
  expect(ids.filter((id) => id === null)).toEqual([]);
  await Promise.all(
    ids.map(async (id) => expect((await endedJob(cluster.url, id as string)).status).toBe("completed")),
  );
  expect((await allJobs()).map(({ id }) => id).sort()).toEqual([...ids].sort());
}, 120_000);
