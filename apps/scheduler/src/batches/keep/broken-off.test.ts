import { until } from "@quern/testing/cluster";
import { afterAll, beforeAll, expect, test } from "vitest";
import { keepBatch } from "./keep-batch.ts";
import {
  feedAndAnswer,
  inputLine,
  type KeptBatches,
  overBatch,
  startKeptBatches,
  storedNames,
  submitBatch,
  writtenLines,
} from "./kept-batches.fixture.ts";
import { Crash, type Life, mortal } from "./mortal.fixture.ts";

let kept: KeptBatches;
beforeAll(async () => {
  kept = await startKeptBatches();
});
afterAll(async () => {
  await kept?.[Symbol.asyncDispose]();
});

const never = new AbortController().signal;
/** Eight lines, of which the second half are copies of the first. */
const LINES = Array.from({ length: 8 }, (_, index) =>
  inputLine(`r${index}`, { temperature: 0, messages: [{ role: "user", content: String(index % 4) }] }),
);

/** A keeper that dies within `life`, and one after it that does not. @returns the calls that the first one had left. */
async function keptTwice(name: string, life: Life): Promise<number> {
  const batch = await submitBatch(kept, LINES, { tenant: name, dedupe: true });
  const answered = until(() => feedAndAnswer(kept, batch));
  const { context } = kept;
  const first = { ...context, redis: mortal(kept.redis, life), files: mortal(kept.files, life) };
  const broken: unknown = await keepBatch(first, batch.id, never).catch((error: unknown) => error);
  if (broken !== undefined && !(broken instanceof Crash)) throw broken;
  await keepBatch(context, batch.id, never);
  await answered;

  const record = await until(() => overBatch(kept.redis, batch.id));
  expect(record).toMatchObject({ status: "completed", total: 8, completed: 8, failed: 0 });
  const { output, errors } = await writtenLines(kept.files, record);
  expect(output.map(({ custom_id }) => custom_id).sort()).toEqual(LINES.map((_, index) => `r${index}`));
  for (const { custom_id, response } of output) {
    expect(response?.body.choices[0]?.message.content).toBe(`answer ${Number(custom_id.slice(1)) % 4}`);
  }
  expect(errors).toEqual([]);
  expect(await storedNames(kept.folder, name)).toEqual([batch.inputFileId, record.outputFileId].sort());
  return life.calls;
}

test("a keeper may die at any call to Redis or to the files: the next one completes the batch, exactly", async () => {
  const many = 100_000;
  const calls = many - (await keptTwice("whole", { calls: many, dies: "before" }));
  expect(calls).toBeGreaterThan(40);
  const deaths = Array.from({ length: calls }, (_, at) => at + 1);
  await Promise.all(
    deaths.flatMap((at) => [
      keptTwice(`before-${at}`, { calls: at, dies: "before" }),
      keptTwice(`after-${at}`, { calls: at, dies: "after" }),
    ]),
  );
});
