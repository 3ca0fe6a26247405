import { type RedisServer, startRedis } from "@quern/testing/redis-server";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";
import { generationRequest } from "../contract/generation-request.fixture.ts";
import type { Endpoint, JobRecord } from "../contract/job.ts";
import { lineJobId } from "../contract/line-job.ts";
import { jobKey } from "../contract/names.ts";
import type { DeltaEvent } from "../contract/token-event.ts";
import { toEndpointResponse } from "../openai/endpoint-response.ts";
import { parseResponsesRequest } from "../openai/responses-request.ts";
import { feedLines } from "./batch-lines.ts";
import { readOutbox } from "./batch-outbox.ts";
import { createBatch, moveBatch } from "./batch-store.ts";
import { connectRedis } from "./connect.ts";
import { expireQueuedJob } from "./deadlines.ts";
import { readEvents } from "./event-stream.ts";
import {
  appendEvents,
  cancelJob,
  claimJob,
  createJob,
  giveUpAttempt,
  handBackJob,
  readJob,
} from "./job-store.ts";
import { fedLine, newBatch } from "./new-batch.fixture.ts";
import { handBack, newJob } from "./new-job.fixture.ts";

// A job that ends between two attempts has the answer that its stream tells, with all the choices that were asked for.

let server: RedisServer;
let redis: Redis;
beforeAll(async () => {
  server = await startRedis();
  redis = connectRedis(server.url, "work", () => {});
});
afterAll(async () => {
  redis?.disconnect();
  await server?.[Symbol.asyncDispose]();
});

const KEPT = { retentionSeconds: 60 };
const EMPTY = { text: "", reasoning: "", toolCalls: [], finishReason: null, logprobs: null };
/** Two tokens of text of the first choice, of a prompt of five tokens. */
const FIRST_SPEAKS: DeltaEvent["data"] = {
  text: "One",
  progress: { tokens: [1, 2], reasoningTokens: 0, promptTokens: 5 },
};

const RESPONSE = parseResponsesRequest({ model: "tiny-qwen3", input: "Hi" }, { drawSeed: () => 1 });

type End = "cancelled" | "expired";
const endings: Record<End, (jobId: string) => Promise<unknown>> = {
  cancelled: (jobId) => cancelJob(redis, jobId, KEPT, 9_000),
  expired: async (jobId) => {
    await redis.hset(jobKey(jobId), "deadlineAtMs", 1);
    return (await expireQueuedJob(redis, jobId, KEPT)).kind;
  },
};

/** How the job that ran last comes back to its queue. */
const returns: Record<string, (jobId: string) => Promise<unknown>> = {
  "was handed back": (jobId) => handBackJob(redis, { jobId, epoch: 1 }, handBack, 3_000),
  "was given up by a scheduler": (jobId) => giveUpAttempt(redis, { jobId, epoch: 1 }, "given_back", 3_000),
  "was lost with three workers": async (jobId) => {
    await claimJob(redis, jobId, 4_000, { workerId: "second", company: "shared" });
    await claimJob(redis, jobId, 5_000, { workerId: "third", company: "shared" });
    const fourth = await claimJob(redis, jobId, 6_000, { workerId: "fourth", company: "shared" });
    expect(fourth).toEqual({ kind: "suspect" });
  },
};

/** A job of two choices whose first attempt has published this. */
async function ran(endpoint: Endpoint, deltas: DeltaEvent["data"][], choices = 2): Promise<string> {
  const echoed = endpoint === "/v1/responses" ? RESPONSE.echoed : null;
  const job = newJob({ endpoint, echoed, request: generationRequest({ choices }) });
  await createJob(redis, job);
  await claimJob(redis, job.id, 2_000, { workerId: "first", company: "shared" });
  const events = deltas.map((data, at) => ({ seq: at + 2, event: { type: "delta" as const, data } }));
  expect(await appendEvents(redis, { jobId: job.id, epoch: 1 }, events, 2_500)).toBe("ok");
  return job.id;
}

async function read(jobId: string): Promise<JobRecord> {
  const record = await readJob(redis, jobId);
  if (record === null) throw new Error("the job is gone");
  return record;
}

const states: End[] = ["cancelled", "expired"];
const cases = states.flatMap((state) => Object.keys(returns).map((how) => [state, how] as const));

test.each(cases)("%s, when it %s", async (state, how) => {
  const jobId = await ran("/v1/chat/completions", [FIRST_SPEAKS]);
  await returns[how]?.(jobId);
  expect(await endings[state](jobId)).toBe(state);
  const usage = { promptTokens: 5, completionTokens: 2, reasoningTokens: 0, cachedTokens: 0 };
  const record = await read(jobId);
  expect(record).toMatchObject({ state, usage });
  expect(record.result).toEqual({ ...EMPTY, text: "One", alternatives: [EMPTY] });
  const last = (await readEvents(redis, jobId, null)).at(-1);
  expect(last?.event).toEqual({ type: "end", data: { status: state, usage, finish_reason: null } });
});

test("the answer is what the stream tells, not what an earlier attempt left", async () => {
  const jobId = await ran("/v1/chat/completions", [FIRST_SPEAKS]);
  await handBackJob(redis, { jobId, epoch: 1 }, handBack, 3_000);
  await claimJob(redis, jobId, 4_000);
  const events = [
    { seq: 3, event: { type: "restart" as const, data: { attempt: 2 } } },
    { seq: 4, event: { type: "delta" as const, data: { choice: 1, text: "Two" } } },
  ];
  await appendEvents(redis, { jobId, epoch: 2 }, events, 4_500);
  await giveUpAttempt(redis, { jobId, epoch: 2 }, "given_back", 5_000);
  await cancelJob(redis, jobId, KEPT, 6_000);
  expect((await read(jobId)).result).toEqual({ ...EMPTY, alternatives: [{ ...EMPTY, text: "Two" }] });
});

test("log-probabilities that were published stay", async () => {
  const one = { token: "One", logprob: -0.25, bytes: [79, 110, 101], top: [] };
  const jobId = await ran("/v1/chat/completions", [{ ...FIRST_SPEAKS, logprobs: [one] }]);
  await handBackJob(redis, { jobId, epoch: 1 }, handBack, 3_000);
  await cancelJob(redis, jobId, KEPT, 4_000);
  expect((await read(jobId)).result).toMatchObject({ logprobs: [one], alternatives: [{ logprobs: null }] });
});

test.each(states)("%s, when nothing was published: it has no answer", async (state) => {
  const jobId = await ran("/v1/chat/completions", []);
  await handBackJob(redis, { jobId, epoch: 1 }, handBack, 3_000);
  await endings[state](jobId);
  expect(await read(jobId)).toMatchObject({ state, usage: null, result: null });
});

test("an answer that the job said more after is read again before the job ends", async () => {
  const jobId = await ran("/v1/chat/completions", [FIRST_SPEAKS]);
  await handBackJob(redis, { jobId, epoch: 1 }, handBack, 3_000);
  // Another attempt speaks while the first one's answer is on its way to the record.
  const cancelling = cancelJob(redis, jobId, KEPT, 4_000);
  const speaking = claimJob(redis, jobId, 4_000).then(async () => {
    const more = { type: "delta" as const, data: { text: " more" } };
    await appendEvents(redis, { jobId, epoch: 2 }, [{ seq: 3, event: more }], 4_100);
    await handBackJob(redis, { jobId, epoch: 2 }, handBack, 4_200);
  });
  const [outcome] = await Promise.all([cancelling, speaking]);
  if (outcome === "asked") await cancelJob(redis, jobId, KEPT, 5_000);
  const said = (await readEvents(redis, jobId, null)).flatMap(({ event }) =>
    event.type === "delta" ? [event.data.text] : [],
  );
  expect(await read(jobId)).toMatchObject({ state: "cancelled", result: { text: said.join("") } });
});

test.each<[Endpoint, object[]]>([
  ["/v1/chat/completions", [{ message: { content: "One" } }, { message: { content: "" } }]],
  ["/v1/completions", [{ text: "One" }, { text: "" }]],
])("%s shows every choice", async (endpoint, choices) => {
  const jobId = await ran(endpoint, [FIRST_SPEAKS]);
  await handBackJob(redis, { jobId, epoch: 1 }, handBack, 3_000);
  await cancelJob(redis, jobId, KEPT, 4_000);
  const shown = choices.map((choice, index) => ({ ...choice, index, finish_reason: null }));
  expect(toEndpointResponse(await read(jobId))).toMatchObject({ choices: shown });
});

test("a response shows what was published", async () => {
  const jobId = await ran("/v1/responses", [FIRST_SPEAKS], 1);
  await handBackJob(redis, { jobId, epoch: 1 }, handBack, 3_000);
  await cancelJob(redis, jobId, KEPT, 4_000);
  const output = [{ type: "message", status: "incomplete", content: [{ text: "One" }] }];
  expect(toEndpointResponse(await read(jobId))).toMatchObject({ status: "cancelled", output });
});

test("the line of a batch that is cancelled between attempts ends with every choice", async () => {
  const batch = newBatch();
  await createBatch(redis, batch);
  await moveBatch(redis, batch.id, "validated", null, 2_000, { model: "tiny-qwen3", total: 1 });
  const fed = fedLine(0);
  const request = generationRequest({ choices: 3 });
  await feedLines(redis, batch.id, [{ ...fed, job: { ...fed.job, request } }]);
  const jobId = lineJobId({ batchId: batch.id, index: 0 });
  await claimJob(redis, jobId, 3_000);
  await appendEvents(
    redis,
    { jobId, epoch: 1 },
    [{ seq: 2, event: { type: "delta", data: FIRST_SPEAKS } }],
    3_500,
  );
  await handBackJob(redis, { jobId, epoch: 1 }, handBack, 4_000);
  expect(await cancelJob(redis, jobId, KEPT, 5_000)).toBe("cancelled");
  const [entry] = await readOutbox(redis, batch.id, 1);
  expect(entry?.line).toMatchObject({ state: "cancelled", usage: { promptTokens: 5, completionTokens: 2 } });
  expect(entry?.line.result).toEqual({ ...EMPTY, text: "One", alternatives: [EMPTY, EMPTY] });
});
