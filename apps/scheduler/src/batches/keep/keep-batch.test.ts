import { randomUUID } from "node:crypto";
import { text } from "node:stream/consumers";
import type { BatchRecord, NewBatch } from "@quern/shared/contract/batch";
import { collectedSchema } from "@quern/shared/contract/batch-collected";
import { lineJobId } from "@quern/shared/contract/line-job";
import {
  batchKey,
  CANCEL_CHANNEL,
  endedLinesKey,
  jobKey,
  liveLinesKey,
  outboxKey,
} from "@quern/shared/contract/names";
import { fileKey } from "@quern/shared/files/file-key";
import { readLiveLines } from "@quern/shared/redis/batch-lines";
import { readCollected } from "@quern/shared/redis/batch-outbox";
import { moveBatch, readBatch } from "@quern/shared/redis/batch-store";
import { connectRedis } from "@quern/shared/redis/connect";
import { readFileRecord } from "@quern/shared/redis/file-records";
import { claimJob, commitJob } from "@quern/shared/redis/job-store";
import { fedLine } from "@quern/shared/redis/new-batch.fixture";
import { until } from "@quern/testing/cluster";
import { afterAll, beforeAll, expect, test } from "vitest";
import { keepBatch } from "./keep-batch.ts";
import { KeepingLost } from "./keeping.ts";
import {
  answer,
  feed,
  feedAndAnswer,
  inputKey,
  inputLine,
  type KeptBatches,
  overBatch,
  startKeptBatches,
  storedNames,
  submitBatch,
  writtenLines,
} from "./kept-batches.fixture.ts";

let kept: KeptBatches;
beforeAll(async () => {
  kept = await startKeptBatches();
});
afterAll(async () => {
  await kept?.[Symbol.asyncDispose]();
});

/** One of its own, so that a test sees all that is stored for it. */
const newTenant = () => `tenant-${randomUUID()}`;
const inputOf = (count: number) => Array.from({ length: count }, (_, index) => inputLine(`r${index}`));
const submit = (count: number, changes: Partial<NewBatch> = {}) =>
  submitBatch(kept, inputOf(count), { tenant: newTenant(), ...changes });
const keep = (batch: NewBatch, stop = new AbortController()) => ({
  stop,
  kept: keepBatch(kept.context, batch.id, stop.signal),
});
const inProgress = (batch: NewBatch) =>
  until(async () => (await readBatch(kept.redis, batch.id))?.status === "in_progress");

/** Its lines, once each, answered as the fixture's worker answers them. */
async function expectWhole(record: BatchRecord, count: number): Promise<void> {
  const { output, errors } = await writtenLines(kept.files, record);
  const indexes = Array.from({ length: count }, (_, index) => index);
  const byIndex = (lines: { custom_id: string }[]) =>
    lines.map(({ custom_id }) => Number(custom_id.slice(1))).sort((a, b) => a - b);
  expect(byIndex(output)).toEqual(indexes.filter((index) => index % 5 !== 4));
  expect(byIndex(errors)).toEqual(indexes.filter((index) => index % 5 === 4));
  for (const { custom_id, response } of output) {
    expect(response?.body.choices[0]?.message.content).toBe(`answer ${custom_id.slice(1)}`);
  }
  expect(record).toMatchObject({ total: count, completed: output.length, failed: errors.length });
}

test("a batch is validated, collected and closed, and leaves two files and its record", async () => {
  const batch = await submit(12, { outputExpiresAfterSeconds: 3_600 });
  const { kept: ended } = keep(batch);
  await until(() => feedAndAnswer(kept, batch));
  await ended;
  const record = await until(() => overBatch(kept.redis, batch.id));
  expect(record).toMatchObject({ status: "completed", model: "tiny-qwen3", errors: [] });
  expect(record.finalizingAtMs).toBeGreaterThanOrEqual(record.inProgressAtMs ?? 0);
  await expectWhole(record, 12);
  const file = await readFileRecord(kept.redis, record.outputFileId ?? "");
  expect(file).toMatchObject({
    tenant: batch.tenant,
    purpose: "batch_output",
    filename: `${batch.id}_output.jsonl`,
    status: "processed",
    expiresAtMs: (file?.createdAtMs ?? 0) + 3_600_000,
  });
  const names = [batch.inputFileId, record.outputFileId, record.errorFileId].sort();
  expect(await storedNames(kept.folder, batch.tenant)).toEqual(names);
  expect(await kept.redis.keys(`*${batch.id}*`)).toEqual([batchKey(batch.id)]);
  expect(await kept.redis.ttl(batchKey(batch.id))).toBeGreaterThan(0);
});

test("an input with faults fails its batch and says them all", async () => {
  const batch = await submitBatch(kept, [inputLine("a"), "{", inputLine("a")]);
  await keep(batch).kept;
  expect(await until(() => overBatch(kept.redis, batch.id))).toMatchObject({
    status: "failed",
    total: 0,
    outputFileId: null,
    errorFileId: null,
    errors: [
      { code: "invalid_json_line", line: 2 },
      { code: "duplicate_custom_id", line: 3 },
    ],
  });
});

test("an input that is gone before it is read fails its batch", async () => {
  const batch = await submit(3);
  await kept.files.remove(inputKey(batch));
  await keep(batch).kept;
  expect(await until(() => overBatch(kept.redis, batch.id))).toMatchObject({
    status: "failed",
    errors: [{ code: "input_file_missing", line: null }],
  });
});

test("where all failed there is no output file", async () => {
  const batch = await submit(1);
  const { kept: ended } = keep(batch);
  await inProgress(batch);
  const error = { code: "context_length_exceeded", message: "too long", param: null };
  const failed = {
    state: "failed",
    usage: null,
    result: null,
    error,
    events: [],
    retentionSeconds: 1,
  } as const;
  for (const jobId of await feed(kept.redis, batch, [fedLine(0)])) {
    await answer(kept.redis, jobId, { ...failed, events: [] });
  }
  await ended;
  const record = await until(() => overBatch(kept.redis, batch.id));
  expect(record).toMatchObject({ status: "completed", outputFileId: null, completed: 0, failed: 1 });
  const { errors } = await writtenLines(kept.files, record);
  expect(errors).toMatchObject([{ custom_id: "r0", response: { status_code: 400 }, error: null }]);
});

test("an answer that can't be written is an error of its own line", async () => {
  const batch = await submit(2);
  const { kept: ended } = keep(batch);
  await inProgress(batch);
  await feed(kept.redis, batch, [fedLine(0)]);
  const jobId = lineJobId({ batchId: batch.id, index: 0 });
  const usage = { promptTokens: 1, completionTokens: 1, reasoningTokens: 0, cachedTokens: 0 };
  const end = {
    state: "completed",
    usage,
    result: null,
    error: null,
    events: [],
    retentionSeconds: 1,
  } as const;
  await answer(kept.redis, jobId, { ...end, events: [] });
  await until(() => feedAndAnswer(kept, batch));
  await ended;
  const record = await until(() => overBatch(kept.redis, batch.id));
  const { output, errors } = await writtenLines(kept.files, record);
  expect(output).toMatchObject([{ custom_id: "r1" }]);
  expect(errors).toMatchObject([{ custom_id: "r0", response: null, error: { code: "internal_error" } }]);
  expect(record).toMatchObject({ total: 2, completed: 1, failed: 1 });
});

test("an end that can't be read is an error of its own line, and of its copies", async () => {
  const lines = ["a", "b", "c"].map((name) => inputLine(name, { temperature: 0, messages: [] }));
  const batch = await submitBatch(kept, [...lines, inputLine("r3")], { dedupe: true });
  const { kept: ended } = keep(batch);
  await inProgress(batch);
  const [jobId = ""] = await feed(kept.redis, batch, [fedLine(0, { copies: 2 })]);
  // Broken before its keeper can have seen it: as whoever writes in another way leaves it.
  const said = { index: 0, customId: "a", copies: 2, state: "completed", createdAtMs: 1, endedAtMs: 2 };
  await kept.redis
    .multi()
    .del(jobKey(jobId))
    .zrem(liveLinesKey(batch.id), 0)
    .setbit(endedLinesKey(batch.id), 0, 1)
    .hincrby(batchKey(batch.id), "completed", 3)
    .xadd(outboxKey(batch.id), "*", ...Object.entries({ ...said, result: "[]" }).flat())
    .exec();
  await until(() => feedAndAnswer(kept, batch));
  await ended;
  const record = await until(() => overBatch(kept.redis, batch.id));
  expect(record).toMatchObject({ total: 4, completed: 1, failed: 3 });
  const { output, errors } = await writtenLines(kept.files, record);
  expect(output).toMatchObject([{ custom_id: "r3" }]);
  expect(errors.map(({ custom_id, error }) => [custom_id, error?.code])).toEqual(
    ["a", "b", "c"].map((name) => [name, "internal_error"]),
  );
});

test("a line that was short enough to be accepted stays so", async () => {
  const lines = ["a", "b"].map((name) => inputLine(name, { temperature: 0, messages: [] }));
  const batch = await submitBatch(kept, [...lines, inputLine("c")], { dedupe: true });
  const { stop, kept: broken } = keep(batch);
  await inProgress(batch);
  stop.abort();
  await expect(broken).rejects.toThrow();
  await moveBatch(kept.redis, batch.id, "cancel", null, Date.now());
  // A scheduler that is started with less.
  const limits = { ...kept.context.limits, maxLineBytes: 10 };
  await keepBatch({ ...kept.context, limits }, batch.id, new AbortController().signal);
  const record = await until(() => overBatch(kept.redis, batch.id));
  expect(record).toMatchObject({ status: "cancelled", total: 3, failed: 3 });
  const { errors } = await writtenLines(kept.files, record);
  expect(errors.map(({ custom_id }) => custom_id)).toEqual(["a", "c", "b"]);
});

test("of two keepers the later one goes on, and each line is written once", async () => {
  const batch = await submit(60);
  const first = keep(batch).kept.catch((error: unknown) => error);
  await until(async () => (await kept.redis.hget(batchKey(batch.id), "keeperEpoch")) === "1");
  const second = keep(batch).kept.catch((error: unknown) => error);
  await until(() => feedAndAnswer(kept, batch));
  const ends = await Promise.all([first, second]);
  expect(ends[0]).toBeInstanceOf(KeepingLost);
  expect(ends[1]).toBeUndefined();
  await expectWhole(await until(() => overBatch(kept.redis, batch.id)), 60);
});

test("a batch that is cancelled half-way keeps what it has, and accounts for the rest", async () => {
  const batch = await submit(12);
  const { kept: ended } = keep(batch);
  await inProgress(batch);
  for (const jobId of await feed(kept.redis, batch, [fedLine(0), fedLine(1)]))
    await answer(kept.redis, jobId);
  await feed(kept.redis, batch, [fedLine(2), fedLine(3)]);
  const running = lineJobId({ batchId: batch.id, index: 3 });
  const claim = await claimJob(kept.redis, running, Date.now());
  // As its worker does, when it is told.
  const subscriber = connectRedis(kept.url, "subscribe", () => {});
  const told = new Promise((resolve) => subscriber.on("message", (_, jobId) => resolve(jobId)));
  await subscriber.subscribe(CANCEL_CHANNEL);
  await moveBatch(kept.redis, batch.id, "cancel", null, Date.now());
  expect(await told).toBe(running);
  expect((await readBatch(kept.redis, batch.id))?.status).toBe("cancelling");
  const epoch = claim.kind === "claimed" ? claim.record.attempt : 0;
  const end = { usage: null, result: null, error: null, events: [], retentionSeconds: 1 };
  await commitJob(kept.redis, { jobId: running, epoch }, { state: "cancelled", ...end }, Date.now());
  await ended;
  subscriber.disconnect();

  const record = await until(() => overBatch(kept.redis, batch.id));
  expect(record).toMatchObject({ status: "cancelled", total: 12, completed: 2, failed: 10 });
  const { output, errors } = await writtenLines(kept.files, record);
  expect(output.map(({ custom_id }) => custom_id)).toEqual(["r0", "r1"]);
  expect(errors.map(({ custom_id }) => custom_id).sort()).toEqual(
    Array.from({ length: 10 }, (_, at) => `r${at + 2}`).sort(),
  );
  for (const { response, error } of errors) {
    expect(response).toBeNull();
    expect(error?.code).toBe("batch_cancelled");
  }
});

test("a batch that is cancelled before its input was read has no lines", async () => {
  const batch = await submit(3);
  await moveBatch(kept.redis, batch.id, "cancel", null, Date.now());
  await keep(batch).kept;
  expect(await until(() => overBatch(kept.redis, batch.id))).toMatchObject({
    status: "cancelled",
    total: 0,
    outputFileId: null,
    errorFileId: null,
  });
});

test("a batch whose window ends keeps what it has, and accounts for the rest", async () => {
  const batch = await submit(1_200, { expiresAtMs: Date.now() + 2_000 });
  const { kept: ended } = keep(batch);
  await inProgress(batch);
  for (const jobId of await feed(kept.redis, batch, [fedLine(7)])) await answer(kept.redis, jobId);
  await feed(kept.redis, batch, [fedLine(8)]);
  await ended;
  const record = await until(() => overBatch(kept.redis, batch.id));
  expect(record).toMatchObject({ status: "expired", total: 1_200, completed: 1, failed: 1_199 });
  const { output, errors } = await writtenLines(kept.files, record);
  expect(output.map(({ custom_id }) => custom_id)).toEqual(["r7"]);
  expect(new Set(errors.map(({ custom_id }) => custom_id)).size).toBe(1_199);
  expect(new Set(errors.map(({ error }) => error?.code))).toEqual(new Set(["batch_expired"]));
});

test("copies are written with what their leaders came to", async () => {
  const body = (content: string) => ({ temperature: 0, messages: [{ role: "user", content }] });
  const lines = Array.from({ length: 12 }, (_, index) => inputLine(`r${index}`, body(String(index % 6))));
  const batch = await submitBatch(kept, lines, { dedupe: true, tenant: newTenant() });
  const { kept: ended } = keep(batch);
  await until(() => feedAndAnswer(kept, batch));
  await ended;
  const record = await until(() => overBatch(kept.redis, batch.id));
  // Of the leaders only line 4 failed, and so its copy.
  expect(record).toMatchObject({ completed: 10, failed: 2, usage: { promptTokens: 100, cachedTokens: 70 } });
  const { output, errors } = await writtenLines(kept.files, record);
  const answers = output.map(({ custom_id, response }) => [
    Number(custom_id.slice(1)),
    response?.body.choices[0]?.message.content,
    response?.body.usage.prompt_tokens_details.cached_tokens,
  ]);
  expect(answers.sort((a, b) => Number(a[0]) - Number(b[0]))).toEqual(
    [0, 1, 2, 3, 5, 6, 7, 8, 9, 11].map((index) => [index, `answer ${index % 6}`, index < 6 ? 4 : 10]),
  );
  expect(errors.map(({ custom_id }) => custom_id)).toEqual(["r4", "r10"]);
  const names = [batch.inputFileId, record.outputFileId, record.errorFileId].sort();
  expect(await storedNames(kept.folder, batch.tenant)).toEqual(names);
});

test("copies of what was never begun end with it", async () => {
  const lines = ["a", "b", "c"].map((name) => inputLine(name, { temperature: 0, messages: [] }));
  const batch = await submitBatch(kept, lines, { dedupe: true });
  const { kept: ended } = keep(batch);
  await inProgress(batch);
  await moveBatch(kept.redis, batch.id, "cancel", null, Date.now());
  await ended;
  const record = await until(() => overBatch(kept.redis, batch.id));
  expect(record).toMatchObject({ total: 3, completed: 0, failed: 3 });
  const { errors } = await writtenLines(kept.files, record);
  expect(errors.map(({ custom_id, error }) => [custom_id, error?.code])).toEqual(
    ["a", "b", "c"].map((name) => [name, "batch_cancelled"]),
  );
});

test("an input that is gone later fails its batch, which keeps what it has", async () => {
  const batch = await submit(4);
  const { kept: ended } = keep(batch);
  await inProgress(batch);
  for (const jobId of await feed(kept.redis, batch, [fedLine(0)])) await answer(kept.redis, jobId);
  await kept.files.remove(inputKey(batch));
  await ended;
  const record = await until(() => overBatch(kept.redis, batch.id));
  expect(record).toMatchObject({
    status: "failed",
    total: 4,
    completed: 1,
    errors: [{ code: "input_file_missing" }],
  });
  const { output } = await writtenLines(kept.files, record);
  expect(output.map(({ custom_id }) => custom_id)).toEqual(["r0"]);
});

test("a Redis that goes back in time has lines run again, and none is written twice", async () => {
  const batch = await submit(3);
  const attempt = () => keep(batch).kept.catch((error: unknown) => error);
  const first = attempt();
  await inProgress(batch);
  for (const jobId of await feed(kept.redis, batch, [fedLine(0)])) await answer(kept.redis, jobId);
  const collected = (count: number) => until(async () => (await collectedLines(batch)) === count);
  await collected(1);
  const back = await remembered(batch.id);
  for (const jobId of await feed(kept.redis, batch, [fedLine(1)])) await answer(kept.redis, jobId);
  await collected(2);
  await back();
  const answered = until(() => feedAndAnswer(kept, batch));
  expect(await first).toBeInstanceOf(KeepingLost);
  expect(await attempt()).toBeUndefined();
  await answered;
  await expectWhole(await until(() => overBatch(kept.redis, batch.id)), 3);
});

/** As many as stand in the recorded part of the output file. */
async function collectedLines({ id, tenant }: NewBatch): Promise<number> {
  const recorded = await readCollected(kept.redis, id);
  if (recorded === null) return 0;
  const { outputFileId, output } = collectedSchema.parse(recorded);
  const content = await text(kept.files.readSegments(fileKey({ tenant, id: outputFileId }), output));
  return content.split("\n").length - 1;
}

/** @returns what brings the batch's keys back to where they are now. */
async function remembered(batchId: string): Promise<() => Promise<void>> {
  const keys = [batchKey, endedLinesKey, liveLinesKey, outboxKey].map((keyOf) => keyOf(batchId));
  const dumps = await Promise.all(keys.map((key) => kept.redis.dumpBuffer(key)));
  return async () => {
    const multi = kept.redis.multi().del(...keys);
    for (const [at, dump] of dumps.entries()) {
      if (dump !== null) multi.restore(keys[at] as string, 0, dump);
    }
    await multi.exec();
  };
}

test("nothing is left live of a line whose record Redis has lost", async () => {
  const batch = await submit(2);
  const { stop, kept: ended } = keep(batch);
  await inProgress(batch);
  const [jobId = ""] = await feed(kept.redis, batch, [fedLine(0)]);
  await kept.redis.zadd(liveLinesKey(batch.id), 1, "0");
  await kept.redis.del(`quern:job:{${batch.id}}:0`);
  expect(jobId).toBe(lineJobId({ batchId: batch.id, index: 0 }));
  await until(async () => (await readLiveLines(kept.redis, batch.id, 10)).length === 0);
  stop.abort();
  await expect(ended).rejects.toThrow();
});
