import { moveBatch, pauseBatch, readBatch } from "@quern/shared/redis/batch-store";
import { until } from "@quern/testing/cluster";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  feedAndAnswer,
  inputLine,
  type KeptBatches,
  overBatch,
  startKeptBatches,
  submitBatch,
} from "../batches/keep/kept-batches.fixture.ts";
import { BatchConsumer } from "./batch-consumer.ts";
import { BatchQueue } from "./batch-queue.ts";

let kept: KeptBatches;
beforeAll(async () => {
  kept = await startKeptBatches();
});
afterAll(async () => {
  await kept?.[Symbol.asyncDispose]();
});

test("more batches than it can keep at a time take turns, those with lines under way first", async () => {
  const queue = new BatchQueue(kept.redis, () => {});
  const submit = async () => {
    const batch = await submitBatch(kept, [inputLine("a"), inputLine("b")]);
    await queue.ensure(batch.id);
    return batch;
  };
  const paused = await Promise.all(Array.from({ length: 5 }, submit));
  for (const { id } of paused) await pauseBatch(kept.redis, id, "pause", Date.now());
  const consumer = new BatchConsumer(kept.context, 2);
  await consumer.start();

  const statusOf = async (id: string) => (await readBatch(kept.redis, id))?.status;
  const all = (status: string) => async () =>
    (await Promise.all(paused.map(({ id }) => statusOf(id)))).every((now) => now === status);
  await until(all("in_progress"));
  const late = await submit();
  await until(() => feedAndAnswer(kept, late));
  expect(await until(() => overBatch(kept.redis, late.id))).toMatchObject({
    status: "completed",
    completed: 2,
  });

  for (const { id } of paused) await moveBatch(kept.redis, id, "cancel", null, Date.now());
  await until(all("cancelled"));
  await consumer.drain();
  await queue.close();
}, 60_000);
