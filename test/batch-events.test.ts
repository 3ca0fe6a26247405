import { readFile, rename } from "node:fs/promises";
import { request } from "node:http";
import { join } from "node:path";
import type { DirectoryStore } from "@quern/shared/files/directory-store";
import { fileKey } from "@quern/shared/files/file-key";
import { createBatch, moveBatch, readBatch, saveProgress } from "@quern/shared/redis/batch-store";
import type { Cluster } from "@quern/testing/cluster";
import { readSse, type SseEvent } from "@quern/testing/jobs-api";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";
import { newBatchId } from "../apps/gateway/src/dispatch/batch-id.ts";
import { KeptBatch } from "../packages/shared/src/files/kept-batch.fixture.ts";
import { newBatch, unfedLine } from "../packages/shared/src/redis/new-batch.fixture.ts";
import { startUnstaffedCluster, type UnstaffedCluster } from "./unstaffed-cluster.fixture.ts";

// Promise: whoever follows a batch sees every line of its files once, from any point, while it runs and afterwards, and its end.

let unstaffed: UnstaffedCluster;
let cluster: Cluster;
let redis: Redis;
let context: { redis: Redis; files: DirectoryStore };
beforeAll(async () => {
  unstaffed = await startUnstaffedCluster();
  ({ cluster, redis } = unstaffed);
  context = unstaffed;
});
afterAll(() => unstaffed?.[Symbol.asyncDispose]());

async function keptBatch(total = 10): Promise<KeptBatch> {
  const id = newBatchId();
  await createBatch(redis, newBatch({ id }));
  const kept = new KeptBatch(context, id);
  await kept.begin();
  await kept.move("validated", { model: "tiny-qwen3", total });
  return kept;
}

const line = (index: number, text = "é".repeat(index)) => ({ id: `batch_req_1_${index}`, text });

function follow(id: string, { query = "?lines=true", lastEventId = "" } = {}): Promise<Response> {
  const headers: Record<string, string> = lastEventId === "" ? {} : { "last-event-id": lastEventId };
  return fetch(`${cluster.url}/v1/batches/${id}/events${query}`, { headers });
}

async function eventsOf(
  id: string,
  options: { query?: string; lastEventId?: string } = {},
): Promise<SseEvent[]> {
  const reply = await follow(id, options);
  expect(reply.status).toBe(200);
  return Array.fromAsync(readSse(reply));
}

const linesOf = (events: SseEvent[]) =>
  events.filter(({ event }) => event === "line").map(({ data }) => JSON.parse(data) as { id: string });
const idsOf = (indexes: number[]) => indexes.map((index) => `batch_req_1_${index}`);

test("lines come as they stand in the files, whoever keeps the batch, and then its end", async () => {
  await using kept = await keptBatch();
  const events = readSse(await follow(kept.id));
  const seen: SseEvent[] = [];
  const seenUntil = async (holds: (event: SseEvent) => boolean) => {
    for (;;) {
      const { value, done } = await events.next();
      if (done === true) throw new Error("the stream has ended");
      seen.push(value);
      if (holds(value)) return;
    }
  };
  await seenUntil(({ event }) => event === "progress");
  await kept.collect({ output: [line(0), line(1)] });
  await seenUntil(({ data }) => data.includes("_1_1"));
  // What a scheduler that lost its lease still writes is read by nobody.
  await kept.collect({ output: [line(2)], errors: [line(3)] });
  await seenUntil(({ data }) => data.includes("_1_3"));
  await kept.begin();
  await kept.collect({ output: [line(4)] });
  await seenUntil(({ data }) => data.includes("_1_4"));
  await kept.move("lines_ended");
  await kept.finish("completed");
  await seenUntil(({ event }) => event === "end");
  expect((await events.next()).done).toBe(true);

  expect(linesOf(seen).map(({ id }) => id)).toEqual(idsOf([0, 1, 2, 3, 4]));
  expect(linesOf(seen)[4]).toEqual(line(4));
  const batch = JSON.parse(seen.at(-1)?.data ?? "");
  expect(batch).toMatchObject({ object: "batch", status: "completed", output_file_id: expect.any(String) });
  expect(seen.map(({ data }) => data).join("")).toContain('"status":"in_progress"');

  // Read again, also from any point, it is the same; the order of the two files is the only freedom.
  const again = await eventsOf(kept.id);
  expect(linesOf(again).map(({ id }) => id)).toEqual(idsOf([0, 1, 2, 4, 3]));
  expect(again.at(-1)).toEqual(seen.at(-1));
  for (const { id: lastEventId } of seen.filter(({ event }) => event === "line")) {
    const before = seen.slice(0, seen.findIndex(({ id }) => id === lastEventId) + 1);
    const rest = linesOf(await eventsOf(kept.id, { lastEventId: lastEventId ?? "" }));
    const all = [...linesOf(before), ...rest].map(({ id }) => id);
    expect(all.sort()).toEqual(idsOf([0, 1, 2, 3, 4]));
  }
});

test("who has seen the end gets 204, so that browsers let go", async () => {
  await using kept = await keptBatch();
  await kept.move("lines_ended");
  await kept.finish("completed");
  const [end] = await eventsOf(kept.id);
  expect(end).toMatchObject({ event: "end", id: "end" });
  for (const query of ["", "?lines=true", "?after=end"]) {
    const headers: Record<string, string> = query.includes("after") ? {} : { "last-event-id": "end" };
    const reply = await fetch(`${cluster.url}/v1/batches/${kept.id}/events${query}`, { headers });
    expect(reply.status).toBe(204);
  }
});

test("without lines there is progress: counts, rates, a pause, and the end", async () => {
  await using kept = await keptBatch(2);
  await kept.collect({ output: [line(0)] });
  const events = readSse(await follow(kept.id, { query: "" }));
  const progressed = async (holds: (progress: Record<string, unknown>) => boolean) => {
    for (;;) {
      const { value, done } = await events.next();
      if (done === true) throw new Error("the stream has ended");
      expect(value.event).toBe("progress");
      const progress = JSON.parse(value.data);
      if (holds(progress)) return progress;
    }
  };
  expect(await progressed(() => true)).toEqual({
    id: kept.id,
    status: "in_progress",
    model: "tiny-qwen3",
    awaited_model: null,
    request_counts: { total: 2, completed: 0, failed: 0 },
    usage: expect.objectContaining({ total_tokens: 0 }),
    paused_at: null,
    progress: null,
  });
  await kept.fail(unfedLine(0));
  await progressed(({ request_counts }) => (request_counts as { failed: number }).failed === 1);
  const endAtMs = { p50: 9_000, p90: 9_500 };
  await saveProgress(redis, kept.id, {
    measuredAtMs: 5_000,
    linesPerSecond: 2,
    outputTokensPerSecond: 30,
    endAtMs,
  });
  const { progress } = await progressed((event) => event.progress !== null);
  expect(progress).toEqual({
    lines_per_second: 2,
    output_tokens_per_second: 30,
    estimated_end_at: { p50: 9, p90: 9 },
  });
  await fetch(`${cluster.url}/v1/batches/${kept.id}/pause`, { method: "POST" });
  await progressed(({ paused_at }) => paused_at !== null);
  await kept.move("lines_ended");
  await kept.finish("completed");
  const rest = await Array.fromAsync(events);
  expect(rest.map(({ event }) => event).at(-1)).toBe("end");
});

test("progress comes twice a second at most", async () => {
  await using kept = await keptBatch(100);
  const beganMs = performance.now();
  const following = eventsOf(kept.id, { query: "" });
  for (let at = 0; performance.now() - beganMs < 1_600; at += 1) await kept.fail(unfedLine(at % 100));
  await kept.move("lines_ended");
  await kept.finish("completed");
  const events = await following;
  const tookMs = performance.now() - beganMs;
  expect(events.length - 1).toBeLessThanOrEqual(tookMs / 500 + 1);
});

test("a place that is none is refused", async () => {
  await using kept = await keptBatch();
  await kept.collect({ output: [line(0), line(1)] });
  for (const lastEventId of ["1-1", "3-0", "0-7", "99999-0", "1", "nonsense"]) {
    const reply = await follow(kept.id, { lastEventId });
    expect(reply.status).toBe(400);
    expect(await reply.json()).toMatchObject({ error: { code: "invalid_request", param: "last-event-id" } });
  }
  const reply = await follow(kept.id, { query: "?lines=maybe" });
  expect(await reply.json()).toMatchObject({ error: { param: "lines" } });
});

test("when a finished file is gone that is said, and the batch can still be followed without lines", async () => {
  await using kept = await keptBatch();
  await kept.collect({ output: [line(0)] });
  await kept.move("lines_ended");
  await kept.finish("completed");
  const record = await readBatch(redis, kept.id);
  await context.files.remove(fileKey({ tenant: "default", id: record?.outputFileId ?? "" }));
  const reply = await follow(kept.id);
  expect(reply.status).toBe(410);
  expect(await reply.json()).toMatchObject({ error: { code: "events_expired" } });
  expect((await eventsOf(kept.id, { query: "" })).map(({ event }) => event)).toEqual(["end"]);
});

test("a file store and a Redis that go away for a while are waited for", async () => {
  await using kept = await keptBatch();
  await kept.collect({ output: [line(0)] });
  const [there, away] = [join(unstaffed.folder, "default"), join(unstaffed.folder, "away")];
  await rename(there, away);
  const events = readSse(await follow(kept.id));
  expect((await events.next()).value).toMatchObject({ event: "progress" });
  const next = events.next();
  await rename(away, there);
  expect((await next).value).toMatchObject({ event: "line", data: JSON.stringify(line(0)) });

  await redis.client("PAUSE", 2_500, "ALL");
  await kept.collect({ output: [line(1)] });
  expect((await events.next()).value).toMatchObject({ event: "line", data: JSON.stringify(line(1)) });
  await events.return();
});

test("a batch that fails before it has lines just ends", async () => {
  const id = newBatchId();
  await createBatch(redis, newBatch({ id }));
  const events = readSse(await follow(id));
  expect((await events.next()).value).toMatchObject({ event: "progress" });
  await moveBatch(redis, id, "rejected", null, Date.now());
  expect((await Array.fromAsync(events)).map(({ event }) => event)).toEqual(["end"]);
});

test("readers that take nothing cost the gateway a small part of what they are sent", async () => {
  await using kept = await keptBatch();
  const big = Array.from({ length: 64 }, (_, at) => line(at, "x".repeat(2 ** 16)));
  for (let at = 0; at < 16; at += 1) await kept.collect({ output: big });
  const gateway = cluster.gateways[0];
  if (gateway === undefined) throw new Error("there is a gateway");
  const before = await residentMiB(gateway.pid);
  // Of 64 MiB each.
  const readers = Array.from({ length: 16 }, () => {
    const reader = request(`${cluster.url}/v1/batches/${kept.id}/events?lines=true`);
    reader.on("error", () => {});
    reader.end();
    return reader;
  });
  const replies = await Promise.all(
    readers.map(
      (reader) => new Promise<NodeJS.ReadableStream>((resolve) => reader.once("response", resolve)),
    ),
  );
  // All of them hold still; one that reads gets it all meanwhile.
  await kept.move("lines_ended");
  await kept.finish("completed");
  expect(linesOf(await eventsOf(kept.id))).toHaveLength(1_024);
  expect(await residentMiB(gateway.pid)).toBeLessThan(before + 320);
  for (const reader of readers) reader.destroy();
  expect(replies).toHaveLength(16);
});

async function residentMiB(pid: number): Promise<number> {
  const [, kib] = /VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kib) / 1_024;
}
