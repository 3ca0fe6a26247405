import type { NewBatch } from "@quern/shared/contract/batch";
import { UNCALIBRATED } from "@quern/shared/contract/rates";
import { announceBatch, moveBatch, readBatch } from "@quern/shared/redis/batch-store";
import { registerWorker, unregisterWorker } from "@quern/shared/redis/registry";
import { until } from "@quern/testing/cluster";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { ServedModels } from "../feed/served-models.ts";
import { keepBatch } from "./keep-batch.ts";
import { KeepingRests } from "./keeping.ts";
import {
  description,
  inputLine,
  type KeptBatches,
  overBatch,
  startKeptBatches,
  submitBatch,
} from "./kept-batches.fixture.ts";

// The fixture's Redis knows one model, as a worker that is gone has left it. No worker is registered.

const MODEL_WAIT_MS = 60_000;
let kept: KeptBatches;
let keeping: { stop: AbortController; ended: Promise<unknown> }[] = [];
let nextModel = 1;
beforeAll(async () => {
  kept = await startKeptBatches();
});
afterEach(async () => {
  for (const { stop } of keeping) stop.abort();
  await Promise.all(keeping.map(({ ended }) => ended));
  keeping = [];
  await unregisterWorker(kept.redis, "w");
});
afterAll(async () => {
  await kept?.[Symbol.asyncDispose]();
});

const newModel = () => `model-${nextModel++}`;
const recordOf = async ({ id }: NewBatch) => readBatch(kept.redis, id);

function keep(batch: NewBatch, isCrowded = false): Promise<unknown> {
  const stop = new AbortController();
  // Not what an earlier test's keeper has read within the last second.
  const fleet = new ServedModels(kept.redis);
  const context = { ...kept.context, fleet, modelWaitMs: MODEL_WAIT_MS, isCrowded: () => isCrowded };
  const ended = keepBatch(context, batch.id, stop.signal).catch((error: unknown) => error);
  keeping.push({ stop, ended });
  return ended;
}

/** A worker that has been registered for `uptimeMs`. */
async function register(model: string, uptimeMs: number): Promise<void> {
  await registerWorker(kept.redis, {
    ...{ id: "w", host: "h", pid: 1, enginePid: 2, slots: 1, busy: 0, state: "ready" },
    ...{ reservedSlots: 0, batchSlots: null, rates: null, calibration: UNCALIBRATED },
    ...{ startedAtMs: 1_000, lastSeenAtMs: 1_000 + uptimeMs },
    description: { ...description, model, aliases: [`${model}-alias`] },
  });
}

async function waits(batch: NewBatch, model: string): Promise<void> {
  await until(async () => (await recordOf(batch))?.awaitedModel === model);
  expect(await recordOf(batch)).toMatchObject({ status: "validating", errors: [] });
}

test("a batch stays validating until the first worker brings its model, by any of its names", async () => {
  const model = newModel();
  const batch = await submitBatch(kept, [
    inputLine("a", { model: `${model}-alias` }),
    inputLine("b", { model }),
  ]);
  const { createdAtMs } = batch;
  void keep(batch);
  await waits(batch, `${model}-alias`);
  await register(model, MODEL_WAIT_MS);
  await until(async () => (await recordOf(batch))?.status === "in_progress");
  expect(await recordOf(batch)).toMatchObject({ model, total: 2, createdAtMs });
});

test("a batch of a model that a worker served before does not wait for that worker's return", async () => {
  const batch = await submitBatch(kept, [inputLine("a")]);
  void keep(batch);
  await until(async () => (await recordOf(batch))?.status === "in_progress");
});

test("while the first workers have just come, another one may bring the model", async () => {
  const [model, other] = [newModel(), newModel()];
  const batch = await submitBatch(kept, [inputLine("a", { model })]);
  await register(other, 0);
  void keep(batch);
  await waits(batch, model);
  await register(model, 0);
  await until(async () => (await recordOf(batch))?.status === "in_progress");
});

test("a model that no worker has brought in time fails the batch", async () => {
  const model = newModel();
  const batch = await submitBatch(kept, [inputLine("a", { model })]);
  await register(newModel(), 0);
  void keep(batch);
  await waits(batch, model);
  await register(newModel(), MODEL_WAIT_MS);
  const record = await until(() => overBatch(kept.redis, batch.id));
  expect(record).toMatchObject({ status: "failed", errors: [{ code: "model_not_found", line: 1 }] });
});

test("a model that the workers don't know fails the batch at once when they have been there for long", async () => {
  const batch = await submitBatch(kept, [inputLine("a", { model: newModel() })]);
  await register(newModel(), MODEL_WAIT_MS);
  void keep(batch);
  const record = await until(() => overBatch(kept.redis, batch.id));
  expect(record).toMatchObject({ status: "failed", awaitedModel: null });
});

test("other faults of the input fail the batch without a wait for its model", async () => {
  const batch = await submitBatch(kept, [inputLine("a", { model: newModel() }), "{"]);
  void keep(batch);
  const { errors } = await until(() => overBatch(kept.redis, batch.id));
  expect(errors.map(({ code }) => code)).toEqual(["model_not_found", "invalid_json_line"]);
});

test("a batch that waits for a model can be cancelled", async () => {
  const model = newModel();
  const batch = await submitBatch(kept, [inputLine("a", { model })]);
  void keep(batch);
  await waits(batch, model);
  await moveBatch(kept.redis, batch.id, "cancel", null, Date.now());
  await announceBatch(kept.redis, batch.id);
  expect(await until(() => overBatch(kept.redis, batch.id))).toMatchObject({ status: "cancelled" });
});

test("a batch that waits for a model expires with its window", async () => {
  const model = newModel();
  const batch = await submitBatch(kept, [inputLine("a", { model })], { expiresAtMs: Date.now() + 1_500 });
  void keep(batch);
  await waits(batch, model);
  expect(await until(() => overBatch(kept.redis, batch.id))).toMatchObject({ status: "expired" });
});

test("a batch that waits for a model makes room for others, and waits again", async () => {
  const model = newModel();
  const batch = await submitBatch(kept, [inputLine("a", { model })]);
  expect(await keep(batch, true)).toBeInstanceOf(KeepingRests);
  await kept.files.remove(`${batch.tenant}/${batch.inputFileId}`);
  // Its input is not read again while it waits.
  expect(await keep(batch, true)).toBeInstanceOf(KeepingRests);
});
