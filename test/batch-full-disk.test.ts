import { setTimeout as sleep } from "node:timers/promises";
import { type Cluster, startCluster, until } from "@quern/testing/cluster";
import { type EndlessModel, writeEndlessModel } from "@quern/testing/endless-model";
import { limitFileSize } from "@quern/testing/full-disk";
import OpenAI, { toFile } from "openai";
import { afterAll, beforeAll, expect, test } from "vitest";

// Promise: a batch whose files can't be written waits for room, says so, and is complete in the end.

const LINES = 120;
/** A few answers fit. */
const ROOM_BYTES = 4_096;

let endless: EndlessModel;
let cluster: Cluster;
let client: OpenAI;
beforeAll(async () => {
  endless = await writeEndlessModel();
  cluster = await startCluster({ workers: [endless.worker] });
  client = new OpenAI({ baseURL: `${cluster.url}/v1`, apiKey: "unused", maxRetries: 2 });
});
afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
  await endless?.[Symbol.asyncDispose]();
});

const lineOf = (index: number) =>
  JSON.stringify({
    custom_id: `line ${index}`,
    method: "POST",
    url: "/v1/chat/completions",
    body: { model: endless.model, messages: [{ role: "user", content: "Go." }], max_tokens: 10 + index },
  });

test("a disk that is full delays a batch, and loses none of its lines", async () => {
  const [scheduler] = cluster.schedulers;
  if (scheduler === undefined) throw new Error("there is a scheduler");
  const lines = Array.from({ length: LINES }, (_, index) => lineOf(index)).join("\n");
  const file = await client.files.create({
    purpose: "batch",
    file: await toFile(Buffer.from(lines), "lines.jsonl"),
  });
  await limitFileSize(scheduler.pid, ROOM_BYTES);
  const { id } = await client.batches.create({
    input_file_id: file.id,
    endpoint: "/v1/chat/completions",
    completion_window: "24h",
  });
  try {
    // Lines run on, and wait in Redis; what is wrong, and what to do, stands in the log.
    await until(async () => (await client.batches.retrieve(id)).request_counts?.completed === LINES);
    await until(async () => scheduler.output().includes("no room"));
    expect((await client.batches.retrieve(id)).status).toBe("in_progress");
  } finally {
    await limitFileSize(scheduler.pid, null);
  }
  const ended = await until(async () => {
    await sleep(50);
    const batch = await client.batches.retrieve(id);
    return batch.status === "completed" ? batch : null;
  });
  expect(ended.request_counts).toEqual({ total: LINES, completed: LINES, failed: 0 });
  expect(ended.error_file_id ?? null).toBeNull();
  const output = await (await client.files.content(ended.output_file_id ?? "")).text();
  const answered = output
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { custom_id: string; response: { body: Answer } })
    .map(({ custom_id, response }) => [custom_id, response.body.usage.completion_tokens]);
  expect(answered).toHaveLength(LINES);
  expect(new Map(answered as [string, number][])).toEqual(
    new Map(Array.from({ length: LINES }, (_, index) => [`line ${index}`, 10 + index])),
  );
});

interface Answer {
  usage: { completion_tokens: number };
}
