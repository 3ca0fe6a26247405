import { expect, test } from "vitest";
import { type BenchRequest, type GenerationTrace, runWorkload, type Target } from "./workload.ts";

/** Says what it is asked to say at once, but for what `answer` makes of it. */
function target(
  answer: (request: BenchRequest, said: GenerationTrace) => GenerationTrace | Promise<GenerationTrace>,
  given: Partial<Target> = {},
): Target {
  return {
    version: "1",
    tokenTimes: "observed",
    answerLength: "exact",
    generate: async (request, onToken) => {
      for (let token = 0; token < request.maxTokens; token++) onToken();
      const tokenAtMs = Array.from({ length: request.maxTokens }, () => 0);
      return answer(request, { sentAtMs: 0, tokenAtMs, endedAtMs: 0, cachedTokens: 0 });
    },
    cpu: { nowMs: () => 0, lowestMs: 0 },
    takeSteps: () => null,
    ...given,
  };
}

const request = (maxTokens: number): BenchRequest => ({ promptTokens: [1], maxTokens });

test("no more than `inFlight` run at once, and traces are in the order of requests", async () => {
  let [running, most] = [0, 0];
  const slow = target(async ({ maxTokens }, said) => {
    most = Math.max(most, ++running);
    // The first ones end last.
    for (let turn = 10; turn > maxTokens; turn--) await Promise.resolve();
    running -= 1;
    return said;
  });
  const requests = [1, 2, 3, 4, 5].map(request);
  const { generations } = await runWorkload(slow, { requests, inFlight: 2, late: null });
  expect(generations.map(({ tokenAtMs }) => tokenAtMs.length)).toEqual([1, 2, 3, 4, 5]);
  expect(most).toBe(2);
});

test("the late request comes once all streams have their tokens", async () => {
  const order: number[] = [];
  const ordered = target(({ maxTokens }, said) => {
    order.push(maxTokens);
    return said;
  });
  const trace = await runWorkload(ordered, {
    requests: [request(5), request(6)],
    inFlight: 2,
    late: { request: request(2), afterTokens: 4 },
  });
  expect(trace.late?.tokenAtMs).toHaveLength(2);
  expect(order).toEqual([5, 6, 2]);
});

test("a late request that could never come is a mistake", async () => {
  const late = { request: request(2), afterTokens: 4 };
  const workload = { requests: [request(4)], inFlight: 1, late };
  await expect(
    runWorkload(
      target((_, said) => said),
      workload,
    ),
  ).rejects.toThrow("never come");
  const blind = target((_, said) => said, { tokenTimes: "interpolated" });
  await expect(runWorkload(blind, { ...workload, requests: [request(9)] })).rejects.toThrow("nobody sees");
});

test("an answer of another length doesn't compare, but for those that can't have it", async () => {
  const workload = { requests: [request(4)], inFlight: 1, late: null };
  const shorter = (_: BenchRequest, said: GenerationTrace) => ({ ...said, tokenAtMs: [0, 0, 0] });
  await expect(runWorkload(target(shorter), workload)).rejects.toThrow("3 tokens, not 4");
  const { generations } = await runWorkload(target(shorter, { answerLength: "approximate" }), workload);
  expect(generations[0]?.tokenAtMs).toHaveLength(3);
});

test("when streams and the late request fail, the first reason is told and the rest is silent", async () => {
  const failing = target(({ maxTokens }) => Promise.reject(new Error(`failed ${maxTokens}`)));
  await expect(
    runWorkload(failing, {
      requests: [request(5), request(6)],
      inFlight: 2,
      late: { request: request(2), afterTokens: 1 },
    }),
  ).rejects.toThrow("failed 5");
});

test("CPU time that is lost in rounding is no figure", async () => {
  const workload = { requests: [request(1)], inFlight: 1, late: null };
  const cpuOfRound = async (tookMs: number) => {
    let nowMs = 1_000;
    const busy = target(
      (_, said) => {
        nowMs += tookMs;
        return said;
      },
      { cpu: { nowMs: () => nowMs, lowestMs: 200 } },
    );
    return (await runWorkload(busy, workload)).cpuMs;
  };
  expect(await cpuOfRound(199)).toBeNull();
  expect(await cpuOfRound(200)).toBe(200);
});
