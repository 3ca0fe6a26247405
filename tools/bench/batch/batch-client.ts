import { createWriteStream, openAsBlob } from "node:fs";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { BatchRecord } from "@quern/shared/contract/batch";
import { isBatchOver } from "@quern/shared/contract/batch-lifecycle";
import { readBatch } from "@quern/shared/redis/batch-store";
import { callApi } from "@quern/testing/jobs-api";
import type { Redis } from "ioredis";
import type { InputLine } from "./lines.ts";

/** Where batches go, and where they are watched: a record tells milliseconds, the API seconds. */
export interface BatchTarget {
  url: string;
  redis: Redis;
  stop: AbortSignal;
}

/** All times that count are in the record: this is how late the bench may hear of them. */
const LOOK_INTERVAL_MS = 50;

/** Lines as a file, one at a time. */
export async function writeLines(path: string, lines: Iterable<InputLine>): Promise<void> {
  await pipeline(Readable.from(jsonl(lines)), createWriteStream(path));
}

export function* jsonl(lines: Iterable<InputLine>): Generator<string> {
  for (const line of lines) yield `${JSON.stringify(line)}\n`;
}

/** Uploads a file of lines, never whole in memory. @returns its id. */
export async function uploadFile({ url, stop }: BatchTarget, path: string): Promise<string> {
  const form = new FormData();
  form.set("purpose", "batch");
  form.set("file", await openAsBlob(path, { type: "application/jsonl" }), "lines.jsonl");
  const reply = await fetch(`${url}/v1/files`, { method: "POST", body: form, signal: stop });
  const text = await reply.text();
  if (reply.status !== 200) throw new Error(`the upload was refused with ${reply.status}: ${text}`);
  return (JSON.parse(text) as { id: string }).id;
}

export async function submitBatch({ url }: BatchTarget, inputFileId: string): Promise<string> {
  const endpoint = "/v1/chat/completions";
  const body = { input_file_id: inputFileId, endpoint, completion_window: "24h" };
  return (await callApi<{ id: string }>(`${url}/v1/batches`, { body })).id;
}

/** Resolves when the batch is as it is waited for. @throws when it is over before. */
export async function batchWhen(
  { redis, stop }: BatchTarget,
  batchId: string,
  condition: (batch: BatchRecord) => boolean,
): Promise<BatchRecord> {
  for (;;) {
    stop.throwIfAborted();
    const batch = await readBatch(redis, batchId);
    if (batch !== null && condition(batch)) return batch;
    if (batch !== null && isBatchOver(batch.status)) {
      throw new Error(`the batch is ${batch.status} already: ${JSON.stringify(batch.errors)}`);
    }
    await sleep(LOOK_INTERVAL_MS, undefined, { signal: stop });
  }
}

/** The batch when it is done. @throws when any of its lines was not completed: figures would not compare. */
export async function completedBatch(target: BatchTarget, batchId: string): Promise<BatchRecord> {
  const batch = await batchWhen(target, batchId, ({ status }) => isBatchOver(status));
  const { status, total, completed } = batch;
  if (status === "completed" && completed === total) return batch;
  throw new Error(
    `the batch is ${status} with ${completed} of ${total} lines: ${JSON.stringify(batch.errors)}`,
  );
}

/** Cancels a batch, and waits until nothing of it runs any more. */
export async function cancelBatch(target: BatchTarget, batchId: string): Promise<void> {
  await callApi(`${target.url}/v1/batches/${batchId}/cancel`, { method: "POST" });
  await batchWhen(target, batchId, ({ status }) => isBatchOver(status));
}

/** From its acceptance to the last byte of its files. */
export function wholeMs({ createdAtMs, completedAtMs }: BatchRecord): number {
  if (completedAtMs === null) throw new Error("the batch has not completed");
  return completedAtMs - createdAtMs;
}
