import { type Cluster, startCluster } from "@quern/testing/cluster";
import { chatBodyOf, endedJob, type Job, readProbes, submitJob } from "@quern/testing/jobs-api";
import { afterAll, beforeAll, expect, test } from "vitest";

// Promise: what a job answers does not depend on what runs beside it, and its usage is exact.

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({ workers: [{ slots: 8 }] });
});
afterAll(() => cluster?.[Symbol.asyncDispose]());

test("64 jobs at once on 8 slots equal each one alone", { timeout: 120_000 }, async () => {
  const probes = readProbes()
    .filter((_, position) => position % 3 === 0)
    .slice(0, 64);
  expect(probes).toHaveLength(64);
  const submitted = await Promise.all(probes.map((probe) => submitJob(cluster.url, chatBodyOf(probe))));
  const together = await Promise.all(submitted.map(({ id }) => endedJob(cluster.url, id)));

  for (const [position, probe] of probes.entries()) {
    const alone = await endedJob(cluster.url, (await submitJob(cluster.url, chatBodyOf(probe))).id);
    expect(outcomeOf(together[position] as Job)).toEqual(outcomeOf(alone));
  }
});

function outcomeOf({ status, attempt, usage, response }: Job): object {
  expect(usage?.total_tokens).toBe((usage?.prompt_tokens ?? 0) + (usage?.completion_tokens ?? 0));
  expect(response?.body.usage).toEqual(usage);
  return {
    status,
    attempt,
    // All but the cached tokens, which depend on what the slots held before.
    usage: [usage?.prompt_tokens, usage?.completion_tokens],
    choices: response?.body.choices.map(({ message, finish_reason }) => ({
      content: message.content,
      reasoning: message.reasoning_content,
      calls: message.tool_calls?.map((call) => call.function),
      finish_reason,
    })),
  };
}
