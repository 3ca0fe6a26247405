import { startCluster, until } from "@quern/testing/cluster";
import { submitJob } from "@quern/testing/jobs-api";
import { expect, test } from "vitest";

// Promise: every process ends in order when it is told to, also while Redis is away.

test.each([["idle", 0] as const, ["with jobs that run", 4] as const])("%s", async (_, jobs) => {
  await using cluster = await startCluster({
    redis: { kind: "process" },
    workers: [{ slots: 2, env: { QUERN_DRAIN_GRACE_SECONDS: "1" } }],
  });
  const { url, redis, gateways, workers, schedulers } = cluster;
  const body = { model: "tiny-qwen3", messages: [{ role: "user", content: "Tell me a story about a fox." }] };
  await Promise.all(Array.from({ length: jobs }, () => submitJob(url, body)));
  process.kill(redis.pid as number, "SIGKILL");
  await until(async () => (await fetch(`${url}/readyz`)).status === 503);

  const processes = [...gateways, ...workers, ...schedulers];
  expect(processes).toHaveLength(3);
  const codes = await Promise.all(processes.map((one) => one.kill("SIGTERM")));
  expect(codes, processes.map((one) => one.output()).join("\n")).toEqual([0, 0, 0]);
});
