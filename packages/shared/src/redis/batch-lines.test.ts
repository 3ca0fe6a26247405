import { type RedisServer, startRedis } from "@quern/testing/redis-server";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { BatchFault } from "../contract/batch.ts";
import type { GenerationResult, Usage } from "../contract/generation.ts";
import { lineJobId } from "../contract/line-job.ts";
import {
  eventsKey,
  jobKey,
  LIVE_BATCHES_KEY,
  linePositionsKey,
  lineRetriesKey,
  lineTriesKey,
  liveLinesKey,
  outboxKey,
} from "../contract/names.ts";
import { dropLiveLine, endLines, feedLines, haveEnded, readLiveLines } from "./batch-lines.ts";
import { readCollected, readOutbox, saveCollected } from "./batch-outbox.ts";
import {
  beginKeeping,
  createBatch,
  forgetBatch,
  moveBatch,
  pauseBatch,
  readBatch,
  readEndOfBatch,
  readLiveBatches,
  retireBatch,
} from "./batch-store.ts";
import { connectRedis } from "./connect.ts";
import { expireQueuedJob } from "./deadlines.ts";
import { readFeedStates } from "./feed-state.ts";
import { appendEvents, cancelJob, claimJob, commitJob, type JobEnd, readJob } from "./job-store.ts";
import { readLinePositions, readLineStates } from "./line-states.ts";
import { fedLine, newBatch, unfedLine } from "./new-batch.fixture.ts";

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

const usage: Usage = { promptTokens: 30, completionTokens: 4, reasoningTokens: 1, cachedTokens: 20 };
const result: GenerationResult = {
  text: "Yes",
  reasoning: "",
  toolCalls: [],
  finishReason: "stop",
  logprobs: null,
  alternatives: [],
};
const completed: JobEnd = {
  state: "completed",
  usage,
  result,
  error: null,
  events: [{ seq: 2, event: { type: "end", data: { status: "completed", usage, finish_reason: "stop" } } }],
  retentionSeconds: 60,
};
function failed(code: string): JobEnd {
  const error = { code, message: "no", param: null };
  return { ...completed, state: "failed", usage: null, result: null, error, events: [] };
}

async function running(total = 10): Promise<string> {
  const batch = newBatch();
  await createBatch(redis, batch);
  await moveBatch(redis, batch.id, "validated", null, 2_000, { model: "tiny-qwen3", total });
  return batch.id;
}

async function claimed(jobId: string) {
  const claim = await claimJob(redis, jobId, 3_000);
  if (claim.kind !== "claimed") throw new Error(`the claim said ${claim.kind}`);
  return { jobId, epoch: claim.record.attempt };
}

const stateOf = async (batchId: string) => (await readFeedStates(redis, [batchId]))[0];

test("a fed line is a job, once, that shares its batch's hash tag", async () => {
  const batchId = await running();
  const jobId = lineJobId({ batchId, index: 3 });
  expect(await feedLines(redis, batchId, [fedLine(3), fedLine(4)])).toEqual([
    jobId,
    lineJobId({ batchId, index: 4 }),
  ]);
  expect(jobKey(jobId)).toBe(`quern:job:{${batchId}}:3`);
  expect(await readJob(redis, jobId)).toMatchObject({ state: "queued", class: "batch", line: { copies: 0 } });
  await claimed(jobId);
  expect(await feedLines(redis, batchId, [fedLine(3)])).toEqual([jobId]);
  expect(await readJob(redis, jobId)).toMatchObject({ state: "running", attempt: 1 });
  expect((await readLiveLines(redis, batchId, 10)).map((line) => line.jobId)).toHaveLength(2);
});

test("a line's end, the batch's counts and its place in the outbox are one; what was its job is gone", async () => {
  const batchId = await running();
  const fed = fedLine(0, { copies: 2 });
  await feedLines(redis, batchId, [{ ...fed, job: { ...fed.job, echoed: { store: true } } }]);
  const jobId = lineJobId({ batchId, index: 0 });
  const attempt = await claimed(jobId);
  await appendEvents(redis, attempt, [{ seq: 2, event: { type: "delta", data: { text: "Yes" } } }], 3_000);
  expect(await commitJob(redis, attempt, completed, 4_000)).toBe("committed");
  expect(await commitJob(redis, attempt, completed, 4_000)).toBe("gone");

  const batch = await readBatch(redis, batchId);
  expect(batch).toMatchObject({
    completed: 3,
    failed: 0,
    // Two copies took their prompts from a cache, whole.
    usage: { promptTokens: 90, completionTokens: 12, reasoningTokens: 3, cachedTokens: 80 },
  });
  expect(await stateOf(batchId)).toMatchObject({
    ended: 3,
    live: 0,
    outbox: 1,
    settledTokens: 10,
    spentTokens: 34,
  });
  const [entry, ...more] = await readOutbox(redis, batchId, 10);
  expect(more).toEqual([]);
  expect(entry?.line).toEqual({
    index: 0,
    customId: "line 0",
    copies: 2,
    state: "completed",
    createdAtMs: 1_000,
    endedAtMs: 4_000,
    echoed: { store: true },
    usage,
    result,
    error: null,
  });
  expect(await redis.exists(jobKey(jobId), eventsKey(jobId))).toBe(0);
});

test("a line that has ended is not fed again", async () => {
  const batchId = await running();
  await feedLines(redis, batchId, [fedLine(0)]);
  await commitJob(redis, await claimed(lineJobId({ batchId, index: 0 })), completed, 4_000);
  expect(await feedLines(redis, batchId, [fedLine(0), fedLine(1)])).toEqual([
    lineJobId({ batchId, index: 1 }),
  ]);
  expect(await haveEnded(redis, batchId, [0, 1])).toEqual([true, false]);
});

test("a passing failure is put off, again and again, and in the end is the line's end", async () => {
  const batchId = await running();
  const jobId = lineJobId({ batchId, index: 5 });
  for (let tries = 1; tries <= 4; tries++) {
    await feedLines(redis, batchId, [fedLine(5)]);
    await commitJob(redis, await claimed(jobId), failed("internal_error"), 4_000);
    expect(await readBatch(redis, batchId)).toMatchObject({ failed: 0 });
    const [time] = await redis.time();
    const dueInMs = Number(await redis.zscore(lineRetriesKey(batchId), "5")) - Number(time) * 1_000;
    expect(Math.round(dueInMs / 1_000 / 4 ** (tries - 1))).toBeGreaterThanOrEqual(1);
    expect(await stateOf(batchId)).toMatchObject({ live: 0, retries: 1, ended: 0 });
  }
  await feedLines(redis, batchId, [fedLine(5)]);
  await commitJob(redis, await claimed(jobId), failed("internal_error"), 4_000);
  expect(await readBatch(redis, batchId)).toMatchObject({ failed: 1 });
  expect(await stateOf(batchId)).toMatchObject({ live: 0, retries: 0, ended: 1 });
  expect(await redis.exists(lineTriesKey(batchId), linePositionsKey(batchId))).toBe(0);
});

test("what live lines take is known, and where a line stands that is fed again", async () => {
  const batchId = await running();
  await feedLines(redis, batchId, [fedLine(5), fedLine(6, { estimatedTokens: 7 })]);
  await feedLines(redis, batchId, [fedLine(5)]);
  expect(await stateOf(batchId)).toMatchObject({ live: 2, liveBytes: 198, liveTokens: 17 });
  await commitJob(redis, await claimed(lineJobId({ batchId, index: 5 })), failed("internal_error"), 4_000);
  expect(await stateOf(batchId)).toMatchObject({ live: 1, liveBytes: 99, liveTokens: 7 });
  expect(await readLinePositions(redis, batchId, [5, 6, 7])).toEqual([
    { index: 5, offset: 500, bytes: 99 },
    { index: 6, offset: 600, bytes: 99 },
  ]);
  await redis.del(jobKey(lineJobId({ batchId, index: 6 })));
  expect(await dropLiveLine(redis, { batchId, index: 6 })).toEqual({ dropped: true });
  expect(await dropLiveLine(redis, { batchId, index: 6 })).toEqual({ dropped: false });
  expect(await stateOf(batchId)).toMatchObject({ live: 0, liveBytes: 0, liveTokens: 0 });
  expect(await readLinePositions(redis, batchId, [6])).toEqual([]);
  await endLines(redis, batchId, "cancelled", [unfedLine(5)], 4_000);
  expect(await redis.exists(lineTriesKey(batchId), linePositionsKey(batchId))).toBe(0);
});

test("a line of which nothing is known to cost anything ends like others", async () => {
  const batchId = await running();
  await feedLines(redis, batchId, [fedLine(0, { estimatedTokens: 0 }), fedLine(1)]);
  await redis.hdel(linePositionsKey(batchId), "1");
  for (const index of [0, 1]) {
    const attempt = await claimed(lineJobId({ batchId, index }));
    expect(await commitJob(redis, attempt, completed, 4_000)).toBe("committed");
  }
  expect(await stateOf(batchId)).toMatchObject({ ended: 2, live: 0, liveTokens: 10 });
});

test("of each line of a stretch it is known how it stands", async () => {
  const batchId = await running(30);
  await feedLines(redis, batchId, [fedLine(9), fedLine(12), fedLine(17)]);
  await commitJob(redis, await claimed(lineJobId({ batchId, index: 17 })), failed("internal_error"), 4_000);
  await endLines(redis, batchId, "failed", [unfedLine(0), unfedLine(8), unfedLine(15), unfedLine(16)], 4_000);
  const states = await readLineStates(redis, batchId, 7, 12);
  const found = Object.fromEntries(states.map((state, at) => [at + 7, state]));
  const waiting = { 7: "waiting", 10: "waiting", 11: "waiting", 13: "waiting", 14: "waiting", 18: "waiting" };
  const others = { 8: "ended", 9: "live", 12: "live", 15: "ended", 16: "ended", 17: "put_off" };
  expect(found).toEqual({ ...waiting, ...others });
  expect(await readLineStates(redis, batchId, 1_000_000, 1)).toEqual(["waiting"]);
});

test.each(["invalid_request", "engine_crashed", "context_length_exceeded"])(
  "a line that failed of %s has ended",
  async (code) => {
    const batchId = await running();
    await feedLines(redis, batchId, [fedLine(0)]);
    await commitJob(redis, await claimed(lineJobId({ batchId, index: 0 })), failed(code), 4_000);
    expect(await readBatch(redis, batchId)).toMatchObject({ failed: 1 });
    expect((await readOutbox(redis, batchId, 1))[0]?.line.error?.code).toBe(code);
  },
);

test("queued lines are cancelled and expired as jobs are, and end their lines", async () => {
  const batchId = await running();
  const overdue = fedLine(1);
  await feedLines(redis, batchId, [fedLine(0), { ...overdue, job: { ...overdue.job, deadlineAtMs: 1_500 } }]);
  const options = { retentionSeconds: 60 };
  expect(await cancelJob(redis, lineJobId({ batchId, index: 0 }), options, 4_000)).toBe("cancelled");
  expect(await expireQueuedJob(redis, lineJobId({ batchId, index: 1 }), options)).toMatchObject({
    kind: "expired",
  });
  const states = (await readOutbox(redis, batchId, 10)).map(({ line }) => line.state);
  expect(states).toEqual(["cancelled", "expired"]);
  expect(await readBatch(redis, batchId)).toMatchObject({ completed: 0, failed: 2 });
  expect(await stateOf(batchId)).toMatchObject({ live: 0 });
});

test("lines end without having been jobs, once, and none that is one", async () => {
  const batchId = await running();
  await feedLines(redis, batchId, [fedLine(1)]);
  const lines = [unfedLine(0, { copies: 1 }), unfedLine(1), unfedLine(2)];
  expect(await endLines(redis, batchId, "failed", lines, 4_000)).toEqual({ ended: 2 });
  expect(await endLines(redis, batchId, "failed", lines, 4_000)).toEqual({ ended: 0 });
  expect(await readBatch(redis, batchId)).toMatchObject({ failed: 3 });
  const [first] = await readOutbox(redis, batchId, 1);
  expect(first?.line).toMatchObject({
    index: 0,
    copies: 1,
    state: "failed",
    error: { code: "invalid_request" },
  });
});

test.each(["paused", "cancelling"])("a batch that is %s takes no lines", async (how) => {
  const batchId = await running();
  if (how === "paused") await pauseBatch(redis, batchId, "pause", 3_000);
  else await moveBatch(redis, batchId, "cancel", null, 3_000);
  expect(await feedLines(redis, batchId, [fedLine(0)])).toBeNull();
  expect(await redis.exists(jobKey(lineJobId({ batchId, index: 0 })))).toBe(0);
});

test("a line whose failure was passing ends for good in a batch that is being cancelled", async () => {
  const batchId = await running();
  await feedLines(redis, batchId, [fedLine(0)]);
  const attempt = await claimed(lineJobId({ batchId, index: 0 }));
  await moveBatch(redis, batchId, "cancel", null, 3_000);
  await commitJob(redis, attempt, failed("internal_error"), 4_000);
  expect(await readBatch(redis, batchId)).toMatchObject({ failed: 1 });
});

test("only the keeper with the latest epoch records what is collected, and lets go of it", async () => {
  const batchId = await running();
  await endLines(redis, batchId, "failed", [unfedLine(0), unfedLine(1), unfedLine(2)], 4_000);
  const first = (await beginKeeping(redis, batchId)) as number;
  const second = (await beginKeeping(redis, batchId)) as number;
  const entries = await readOutbox(redis, batchId, 2);
  const throughId = entries[1]?.id as string;
  const collecting = { throughId, bytes: 0, savesBefore: 0, unanswered: 0 };
  expect(await saveCollected(redis, batchId, first, { bytes: 1 }, collecting)).toEqual({ saved: false });
  expect(await readOutbox(redis, batchId, 10)).toHaveLength(3);
  expect(await saveCollected(redis, batchId, second, { bytes: 2 }, collecting)).toEqual({ saved: true });
  expect((await readOutbox(redis, batchId, 10)).map(({ line }) => line.index)).toEqual([2]);
  expect(await readCollected(redis, batchId)).toEqual({ bytes: 2 });
  expect(await moveBatch(redis, batchId, "lines_ended", first, 5_000)).toEqual({ kind: "fenced" });
});

test("a Redis that has lost what a keeper saw takes nothing more from that keeper", async () => {
  const batchId = await running();
  await endLines(redis, batchId, "failed", [unfedLine(0), unfedLine(1)], 4_000);
  const epoch = (await beginKeeping(redis, batchId)) as number;
  const [first, second] = await readOutbox(redis, batchId, 2);
  const save = (throughId: string | undefined, savesBefore: number) =>
    saveCollected(
      redis,
      batchId,
      epoch,
      { through: throughId },
      { throughId: throughId ?? null, bytes: 0, savesBefore, unanswered: 0 },
    );
  expect(await save(first?.id, 0)).toEqual({ saved: true });
  // The keeper's last save is lost.
  expect(await save(second?.id, 2)).toEqual({ saved: false });
  // The line that the file holds is lost.
  expect(await save("99-0", 1)).toEqual({ saved: false });
  expect(await readCollected(redis, batchId)).toEqual({ through: first?.id });
  expect(await readOutbox(redis, batchId, 2)).toEqual([second]);
  expect(await save(second?.id, 1)).toEqual({ saved: true });
});

test("a live line is forgotten only when it has no record", async () => {
  const batchId = await running();
  await feedLines(redis, batchId, [fedLine(0), fedLine(1)]);
  await redis.del(jobKey(lineJobId({ batchId, index: 1 })));
  expect(await dropLiveLine(redis, { batchId, index: 0 })).toEqual({ dropped: false });
  expect(await dropLiveLine(redis, { batchId, index: 1 })).toEqual({ dropped: true });
  expect(await readLiveLines(redis, batchId, 10)).toMatchObject([{ index: 0 }]);
});

test("a batch whose input is lost goes to its end, and says what it is", async () => {
  const batchId = await running();
  expect(await moveBatch(redis, batchId, "rejected", null, 3_000)).toMatchObject({ kind: "ignored" });
  const errors: BatchFault[] = [{ code: "input_file_missing", message: "gone", param: null, line: null }];
  await moveBatch(redis, batchId, "input_lost", null, 3_000, { errors, endsWith: "rejected" });
  expect(await readEndOfBatch(redis, batchId)).toBe("rejected");
  expect(await moveBatch(redis, batchId, "rejected", null, 4_000)).toEqual({
    kind: "moved",
    status: "failed",
  });
  expect(await readBatch(redis, batchId)).toMatchObject({ finalizingAtMs: 3_000, failedAtMs: 4_000, errors });
});

test("of the live batches it is known which have a record", async () => {
  const batchId = await running();
  await redis.zadd(LIVE_BATCHES_KEY, 5, "batch_none");
  const live = (await readLiveBatches(redis)).filter(({ id }) => id === batchId || id === "batch_none");
  expect(live).toEqual([
    { id: "batch_none", createdAtMs: 5, hasRecord: false },
    { id: batchId, createdAtMs: 1_000, hasRecord: true },
  ]);
  await forgetBatch(redis, "batch_none");
  expect(await redis.zscore(LIVE_BATCHES_KEY, "batch_none")).toBeNull();
});

test("it is known how much waits in the outbox", async () => {
  const batchId = await running();
  await endLines(
    redis,
    batchId,
    "failed",
    [unfedLine(0), unfedLine(1, { customId: "é".repeat(100) })],
    4_000,
  );
  const [first, second] = await readOutbox(redis, batchId, 2);
  expect(second?.bytes).toBe((first?.bytes ?? 0) - Buffer.byteLength(first?.line.customId ?? "") + 200);
  const waiting = (first?.bytes ?? 0) + (second?.bytes ?? 0);
  expect(await stateOf(batchId)).toMatchObject({ outbox: 2, outboxBytes: waiting });
  const epoch = (await beginKeeping(redis, batchId)) as number;
  const { id: throughId, bytes } = first ?? { id: "", bytes: 0 };
  await saveCollected(redis, batchId, epoch, {}, { throughId, bytes, savesBefore: 0, unanswered: 0 });
  expect(await stateOf(batchId)).toMatchObject({ outbox: 1, outboxBytes: second?.bytes });
});

test("what the end of a line can't be read from, that line has alone", async () => {
  const batchId = await running();
  await endLines(redis, batchId, "failed", [unfedLine(0)], 4_000);
  const said = { index: 1, customId: "line 1", copies: 2, state: "completed", createdAtMs: 1, endedAtMs: 2 };
  await redis.xadd(outboxKey(batchId), "*", ...Object.entries(said).flat(), "result", '{"text":');
  await redis.xadd(outboxKey(batchId), "*", ...Object.entries(said).flat(), "usage", '{"tokens":1}');
  const [sound, ...broken] = await readOutbox(redis, batchId, 10);
  expect(sound).toMatchObject({ line: { index: 0, error: { code: "invalid_request" } }, fault: null });
  expect(broken).toHaveLength(2);
  for (const { line, fault } of broken) {
    expect(line).toEqual({ ...said, echoed: null, usage: null, result: null, error: null });
    expect(fault).toBeInstanceOf(Error);
  }
});

test("a line that comes to an end in a batch that is over changes nothing any more", async () => {
  const batchId = await running(2);
  const ids = await feedLines(redis, batchId, [fedLine(0)]);
  const late = await claimed(ids?.[0] ?? "");
  // As a server has it that lost writes: the line is a job, and its batch knows nothing of that.
  await redis.del(liveLinesKey(batchId));
  await moveBatch(redis, batchId, "cancel", null, 4_000);
  await endLines(redis, batchId, "cancelled", [unfedLine(0), unfedLine(1)], 4_000);
  await moveBatch(redis, batchId, "cancelled", null, 5_000);
  await retireBatch(redis, batchId, 60);
  await commitJob(redis, late, completed, 6_000);
  // A feeder that was held up.
  await endLines(redis, batchId, "failed", [unfedLine(1)], 6_000);
  expect(await readBatch(redis, batchId)).toMatchObject({
    completed: 0,
    failed: 2,
    usage: { promptTokens: 0 },
  });
  expect(await redis.keys(`*${batchId}*`)).toEqual([`quern:batch:{${batchId}}`]);
});

test("a batch that is over leaves its record, for its time", async () => {
  const batchId = await running();
  await feedLines(redis, batchId, [fedLine(0)]);
  await cancelJob(redis, lineJobId({ batchId, index: 0 }), { retentionSeconds: 60 }, 4_000);
  await moveBatch(redis, batchId, "cancel", null, 4_000);
  await moveBatch(redis, batchId, "cancelled", null, 5_000);
  await retireBatch(redis, batchId, 60);
  expect(await redis.keys(`*${batchId}*`)).toEqual([`quern:batch:{${batchId}}`]);
  expect(await redis.ttl(`quern:batch:{${batchId}}`)).toBeGreaterThan(0);
  expect(await readBatch(redis, batchId)).toMatchObject({ status: "cancelled", failed: 1 });
});
