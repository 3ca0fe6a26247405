import { type RedisServer, startRedis } from "@quern/testing/redis-server";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { GenerationResult, Usage } from "../contract/generation.ts";
import { eventsKey, jobKey } from "../contract/names.ts";
import type { TokenEvent } from "../contract/token-event.ts";
import { connectRedis } from "./connect.ts";
import { readEvents } from "./event-stream.ts";
import {
  type Attempt,
  appendEvents,
  cancelJob,
  claimJob,
  commitJob,
  confirmJob,
  createJob,
  giveUpAttempt,
  handBackJob,
  type JobEnd,
  readJob,
} from "./job-store.ts";
import { handBack, newJob } from "./new-job.fixture.ts";

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

const usage: Usage = { promptTokens: 3, completionTokens: 2, reasoningTokens: 0, cachedTokens: 0 };
const result: GenerationResult = {
  text: "One two",
  reasoning: "",
  toolCalls: [],
  finishReason: "stop",
  logprobs: [{ token: "One", logprob: -0.25, bytes: [79, 110, 101], top: [] }],
  alternatives: [{ text: "Two", reasoning: "Hm", toolCalls: [], finishReason: "length", logprobs: null }],
};
const text = (words: string): TokenEvent => ({ type: "delta", data: { text: words } });
const endEvent: TokenEvent = { type: "end", data: { status: "completed", usage, finish_reason: "stop" } };

function completed(events: JobEnd["events"], changes: Partial<JobEnd> = {}): JobEnd {
  return { state: "completed", usage, result, error: null, events, retentionSeconds: 60, ...changes };
}

async function claimed(changes: Parameters<typeof newJob>[0] = {}): Promise<Attempt> {
  const job = newJob(changes);
  await createJob(redis, job);
  const claim = await claimJob(redis, job.id, 2_000);
  if (claim.kind !== "claimed") throw new Error(`the claim said ${claim.kind}`);
  return { jobId: job.id, epoch: claim.record.attempt };
}

const idsOf = async (jobId: string) => (await readEvents(redis, jobId, null)).map(({ id }) => id);
const ttl = (jobId: string) => redis.ttl(jobKey(jobId));

test("a created job is read as it was submitted, and is there once", async () => {
  const job = newJob({ traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" });
  expect(await createJob(redis, job)).toEqual({ created: true });
  expect(await readJob(redis, job.id)).toEqual({
    ...job,
    state: "queued",
    kills: 0,
    lostAttempts: 0,
    parks: 0,
    suspectSinceMs: null,
    slots: 1,
    attempt: 0,
    crashes: 0,
    cancelRequested: false,
    queuedAtMs: job.createdAtMs,
    startedAtMs: null,
    firstTokenAtMs: null,
    endedAtMs: null,
    deadlineAtMs: null,
    claimedAtMs: null,
    size: null,
    estimate: null,
    webhook: null,
    usage: null,
    result: null,
    error: null,
    retentionSeconds: null,
    eventsRetentionSeconds: null,
    expiresAtMs: null,
    retriedFrom: null,
    idempotencyKeyHash: null,
    line: null,
    echoed: null,
  });
  expect(await createJob(redis, { ...job, model: "another" })).toEqual({ created: false });
  expect((await readJob(redis, job.id))?.model).toBe(job.model);
});

test("text survives the trip whatever is in it", async () => {
  const content = `𝄞 👩‍👩‍👧 \u0000\u2028 "quotes" \\ %d {job} ${"é".repeat(500_000)}`;
  const metadata = { "": "empty key", "a b.c:{d}": "é\n", constructor: "x", hasOwnProperty: "y", "0": "z" };
  const job = newJob({ metadata });
  job.request = {
    ...job.request,
    messages: [{ role: "user", content }],
    templateOptions: { enable_thinking: false, nested: { deep: [1, null, "x"] } },
    seed: Number.MAX_SAFE_INTEGER,
    stop: ["\n\n"],
  };
  await createJob(redis, job);
  const claim = await claimJob(redis, job.id, 2_000);
  expect(claim).toMatchObject({ kind: "claimed", record: { request: job.request, metadata } });

  const attempt = { jobId: job.id, epoch: 1 };
  const said = { ...result, text: content };
  await commitJob(redis, attempt, completed([{ seq: 2, event: text(content) }], { result: said }), 3_000);
  expect((await readJob(redis, job.id))?.result).toEqual(said);
  expect((await readEvents(redis, job.id, null)).at(-1)?.event).toEqual(text(content));
});

test("an unconfirmed job expires; confirming keeps it, and so does a worker's claim", async () => {
  const [forgotten, confirmed] = [newJob(), newJob()];
  await createJob(redis, forgotten);
  await createJob(redis, confirmed);
  expect(await ttl(forgotten.id)).toBeGreaterThan(0);
  await confirmJob(redis, confirmed);
  expect(await ttl(confirmed.id)).toBe(-1);
  expect(await ttl((await claimed()).jobId)).toBe(-1);

  await redis.pexpire(jobKey(forgotten.id), 1);
  await expect.poll(() => readJob(redis, forgotten.id)).toBeNull();
  await confirmJob(redis, forgotten);
  expect(await readJob(redis, forgotten.id)).toBeNull();
});

test("a confirmation that arrives after the end does not keep the job for ever", async () => {
  const attempt = await claimed();
  await commitJob(redis, attempt, completed([]), 3_000);
  await confirmJob(redis, { id: attempt.jobId, tenant: "default" });
  expect(await ttl(attempt.jobId)).toBeGreaterThan(0);

  const cancelled = newJob();
  await createJob(redis, cancelled);
  await cancelJob(redis, cancelled.id, { retentionSeconds: 60 }, 2_000);
  await confirmJob(redis, cancelled);
  expect(await ttl(cancelled.id)).toBeGreaterThan(0);
});

test("the first claim starts the stream; each later one has a higher epoch, and goes on behind what is there", async () => {
  const job = newJob();
  await createJob(redis, job);
  expect(await claimJob(redis, job.id, 2_000)).toMatchObject({
    record: { state: "running", attempt: 1, startedAtMs: 2_000 },
    lastSeq: 1,
  });
  // A takeover: the first attempt never handed back.
  expect(await claimJob(redis, job.id, 4_000)).toMatchObject({
    record: { attempt: 2, startedAtMs: 2_000 },
    lastSeq: 1,
  });
  const said = { ...handBack, events: [{ seq: 2, event: text("One") }] };
  await handBackJob(redis, { jobId: job.id, epoch: 2 }, said, 5_000);
  expect(await claimJob(redis, job.id, 6_000)).toMatchObject({
    record: { attempt: 3, queuedAtMs: 5_000, firstTokenAtMs: 5_000 },
    lastSeq: 2,
  });
  expect(await readEvents(redis, job.id, null)).toEqual([
    { id: "1-1", event: { type: "start", data: { attempt: 1 } } },
    { id: "2-2", event: text("One") },
  ]);
});

test("a claim that is sent again finds the attempt that it began; another one takes it over", async () => {
  const job = newJob();
  await createJob(redis, job);
  const by = { company: "shared", workerId: "worker" } as const;
  const first = await claimJob(redis, job.id, 2_000, by, "one");
  expect(await claimJob(redis, job.id, 3_000, by, "one")).toEqual(first);
  // The worker lives, so nothing of it was lost but the lease.
  expect(await claimJob(redis, job.id, 4_000, by, "two")).toMatchObject({
    record: { attempt: 2, lostAttempts: 0 },
  });
  expect(await claimJob(redis, job.id, 5_000, { ...by, workerId: "other" }, "three")).toMatchObject({
    record: { attempt: 3, lostAttempts: 1 },
  });
});

test("a claim after the end says how the job ended", async () => {
  const attempt = await claimed();
  await commitJob(redis, attempt, completed([]), 3_000);
  expect(await claimJob(redis, attempt.jobId, 4_000)).toEqual({ kind: "ended", state: "completed" });
});

test("what an attempt says is in the stream in order, its first delta timed once", async () => {
  const attempt = await claimed();
  const two = [
    { seq: 2, event: text("One") },
    { seq: 3, event: text(" two") },
  ];
  expect(await appendEvents(redis, attempt, two, 3_000)).toBe("ok");
  expect(await appendEvents(redis, attempt, [{ seq: 4, event: text(".") }], 4_000)).toBe("ok");
  expect(await idsOf(attempt.jobId)).toEqual(["1-1", "1-2", "1-3", "1-4"]);
  expect(await readJob(redis, attempt.jobId)).toMatchObject({ firstTokenAtMs: 3_000 });
});

test("a write that is sent again, its reply having been lost, says nothing twice", async () => {
  const attempt = await claimed();
  const one = { seq: 2, event: text("One") };
  const two = { seq: 3, event: text(" two") };
  await appendEvents(redis, attempt, [one], 3_000);
  expect(await appendEvents(redis, attempt, [one, two], 3_100)).toBe("ok");
  const end = completed([one, two, { seq: 4, event: endEvent }]);
  expect(await commitJob(redis, attempt, end, 3_200)).toBe("committed");
  expect(await commitJob(redis, attempt, end, 3_300)).toBe("completed");
  const events = (await readEvents(redis, attempt.jobId, null)).map(({ event }) => event);
  expect(events).toEqual([{ type: "start", data: { attempt: 1 } }, one.event, two.event, endEvent]);
});

test("nothing is written behind a gap: the job goes back, and on from what Redis still has", async () => {
  const attempt = await claimed();
  const { jobId } = attempt;
  await appendEvents(redis, attempt, [{ seq: 2, event: text("One") }], 3_000);
  // Events 3 and 4 were acknowledged, and lost with Redis' last second.
  const behind = [{ seq: 5, event: text(" four") }];
  expect(await appendEvents(redis, attempt, behind, 3_100)).toBe("gap");
  const end = completed([...behind, { seq: 6, event: endEvent }]);
  expect(await commitJob(redis, attempt, end, 3_200)).toBe("gap");
  const said = { because: "given_back" as const, events: behind };
  expect(await handBackJob(redis, attempt, said, 3_300)).toEqual({ handedBack: true });
  expect(await readJob(redis, jobId)).toMatchObject({ state: "queued" });
  expect(await idsOf(jobId)).toEqual(["1-1", "1-2"]);
  expect(await claimJob(redis, jobId, 4_000)).toMatchObject({ kind: "claimed", lastSeq: 2 });
});

test("a stale attempt can write nothing, hand nothing back and end nothing", async () => {
  const stale = await claimed();
  await claimJob(redis, stale.jobId, 3_000);
  const record = await readJob(redis, stale.jobId);
  const ids = await idsOf(stale.jobId);

  expect(await appendEvents(redis, stale, [{ seq: 2, event: text("late") }], 4_000)).toBe("fenced");
  expect(await handBackJob(redis, stale, { ...handBack, because: "crashed" }, 4_000)).toEqual({
    handedBack: false,
  });
  expect(await commitJob(redis, stale, completed([{ seq: 3, event: endEvent }]), 4_000)).toBe("running");
  // Nor can one that claims to come from the future.
  const future = { ...stale, epoch: 9 };
  expect(await appendEvents(redis, future, [{ seq: 2, event: text("early") }], 4_000)).toBe("fenced");

  expect(await readJob(redis, stale.jobId)).toEqual(record);
  expect(await idsOf(stale.jobId)).toEqual(ids);
});

test("a commit makes state, result, usage and last events visible together, and only the first one does", async () => {
  const attempt = await claimed();
  const end = completed([
    { seq: 2, event: text("One two") },
    { seq: 3, event: endEvent },
  ]);
  expect(await commitJob(redis, attempt, end, 4_000)).toBe("committed");
  const record = await readJob(redis, attempt.jobId);
  expect(record).toMatchObject({
    state: "completed",
    usage,
    result,
    error: null,
    endedAtMs: 4_000,
    firstTokenAtMs: 4_000,
  });

  const other = completed([{ seq: 4, event: text("more") }], { state: "failed", result: null });
  expect(await commitJob(redis, attempt, other, 5_000)).toBe("completed");
  expect(await readJob(redis, attempt.jobId)).toEqual(record);
  expect(await idsOf(attempt.jobId)).toEqual(["1-1", "1-2", "1-3"]);
});

test("of two commits at once one is the end", async () => {
  const attempt = await claimed();
  const replies = await Promise.all([
    commitJob(redis, attempt, completed([{ seq: 2, event: endEvent }]), 4_000),
    commitJob(redis, attempt, completed([{ seq: 2, event: endEvent }], { state: "failed" }), 4_000),
  ]);
  expect(replies).toEqual(["committed", "completed"]);
  expect(await idsOf(attempt.jobId)).toEqual(["1-1", "1-2"]);
});

test("an ended job and its stream are kept for its retention and then go", async () => {
  const attempt = await claimed();
  await commitJob(
    redis,
    attempt,
    completed([{ seq: 2, event: endEvent }], { retentionSeconds: 1_234 }),
    4_000,
  );
  for (const key of [jobKey(attempt.jobId), eventsKey(attempt.jobId)]) {
    expect(await redis.ttl(key)).toBeGreaterThan(1_200);
    expect(await redis.ttl(key)).toBeLessThanOrEqual(1_234);
  }
});

test("a failed job has its error; a hand-back counts crashes only when an engine died", async () => {
  const attempt = await claimed();
  await handBackJob(redis, attempt, handBack, 3_000);
  expect(await readJob(redis, attempt.jobId)).toMatchObject({
    state: "queued",
    crashes: 0,
    queuedAtMs: 3_000,
  });
  await claimJob(redis, attempt.jobId, 4_000);
  await handBackJob(redis, { ...attempt, epoch: 2 }, { ...handBack, because: "crashed" }, 5_000);
  await claimJob(redis, attempt.jobId, 6_000);
  const error = { code: "engine_crashed", message: 'it died "again"', param: null };
  const failed = completed([], { state: "failed", result: null, usage: null, error });
  await commitJob(redis, { ...attempt, epoch: 3 }, failed, 7_000);
  expect(await readJob(redis, attempt.jobId)).toMatchObject({
    state: "failed",
    crashes: 1,
    error,
    result: null,
  });
});

test("an attempt is given up once, and its events stay, also where nobody can read the record", async () => {
  const attempt = await claimed();
  await appendEvents(redis, attempt, [{ seq: 2, event: text("One") }], 2_500);
  await redis.hset(jobKey(attempt.jobId), "request", "[");
  expect(await giveUpAttempt(redis, attempt, "given_back", 3_000)).toEqual({ handedBack: true });
  expect(await giveUpAttempt(redis, attempt, "given_back", 3_000)).toEqual({ handedBack: false });
  expect(await redis.hget(jobKey(attempt.jobId), "state")).toBe("queued");
  expect(await idsOf(attempt.jobId)).toEqual(["1-1", "1-2"]);
});

test("a cancelled queued job ends at once with one end event", async () => {
  const job = newJob();
  await createJob(redis, job);
  expect(await cancelJob(redis, job.id, { retentionSeconds: 60 }, 2_000)).toBe("cancelled");
  expect(await cancelJob(redis, job.id, { retentionSeconds: 60 }, 3_000)).toBe("ended");
  expect(await readJob(redis, job.id)).toMatchObject({ state: "cancelled", endedAtMs: 2_000, attempt: 0 });
  const data = { status: "cancelled", usage: null, finish_reason: null };
  expect(await readEvents(redis, job.id, null)).toEqual([{ id: "0-1", event: { type: "end", data } }]);
  expect(await redis.ttl(eventsKey(job.id))).toBeGreaterThan(0);
  expect(await claimJob(redis, job.id, 4_000)).toEqual({ kind: "ended", state: "cancelled" });
});

test("cancelled after it was handed back, its end comes after all that the attempt said", async () => {
  const attempt = await claimed();
  const words = Array.from({ length: 20 }, (_, i) => ({ seq: i + 2, event: text(`${i} `) }));
  await appendEvents(redis, attempt, words, 3_000);
  await handBackJob(redis, attempt, handBack, 4_000);
  expect(await cancelJob(redis, attempt.jobId, { retentionSeconds: 60 }, 5_000)).toBe("cancelled");
  const events = await readEvents(redis, attempt.jobId, null);
  expect(events.at(-1)).toMatchObject({ id: "1-22", event: { type: "end" } });
  expect(events.filter(({ event }) => event.type === "end")).toHaveLength(1);
});

test("a running job is asked to end: its worker hears of it with its next write, and ends it", async () => {
  const attempt = await claimed();
  expect(await cancelJob(redis, attempt.jobId, { retentionSeconds: 60 }, 3_000)).toBe("asked");
  expect(await readJob(redis, attempt.jobId)).toMatchObject({ state: "running", cancelRequested: true });
  expect(await appendEvents(redis, attempt, [{ seq: 2, event: text("One") }], 4_000)).toBe("cancel");
  expect(await idsOf(attempt.jobId)).toEqual(["1-1", "1-2"]);
  const cut = completed([], { state: "cancelled", result: { ...result, finishReason: null } });
  expect(await commitJob(redis, attempt, cut, 5_000)).toBe("committed");
  expect(await readJob(redis, attempt.jobId)).toMatchObject({
    state: "cancelled",
    result: { text: "One two", finishReason: null },
  });
});

test("a wish to cancel outlives the attempt that was asked", async () => {
  const attempt = await claimed();
  await cancelJob(redis, attempt.jobId, { retentionSeconds: 60 }, 3_000);
  await handBackJob(redis, attempt, { ...handBack, because: "crashed" }, 4_000);
  expect(await claimJob(redis, attempt.jobId, 5_000)).toMatchObject({ record: { cancelRequested: true } });
});

test("a record that is none of ours is an error, not a job", async () => {
  const { id } = newJob();
  await redis.hset(jobKey(id), { id, state: "sleeping" });
  await expect(readJob(redis, id)).rejects.toThrow(/state/);
});
