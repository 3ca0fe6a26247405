import { type Cluster, startCluster, until } from "@quern/testing/cluster";
import { type EndlessModel, writeEndlessModel } from "@quern/testing/endless-model";
import { S3_BUCKET, S3_CREDENTIALS, type S3Server, startS3Server } from "@quern/testing/s3-server";
import { startTcpProxy, type TcpProxy } from "@quern/testing/tcp-proxy";
import OpenAI, { toFile } from "openai";
import { afterAll, beforeAll, expect, test } from "vitest";

// Promise: a batch whose files are in a bucket is as exact as one on a disk, its scheduler being killed and its bucket going away meanwhile.

const LINES = 150;

let endless: EndlessModel;
let bucket: S3Server;
/** Between all processes and the bucket. */
let way: TcpProxy;
let cluster: Cluster;
let client: OpenAI;
beforeAll(async () => {
  endless = await writeEndlessModel();
  bucket = await startS3Server();
  way = await startTcpProxy({ port: Number(new URL(bucket.endpoint).port) });
  cluster = await startCluster({
    workers: [endless.worker],
    env: {
      ...S3_CREDENTIALS,
      QUERN_FILES: `s3://${S3_BUCKET}/batches`,
      QUERN_S3_ENDPOINT: `http://127.0.0.1:${way.port}`,
      QUERN_S3_FORCE_PATH_STYLE: "true",
    },
  });
  client = new OpenAI({ baseURL: `${cluster.url}/v1`, apiKey: "unused", maxRetries: 2 });
});
afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
  await way?.[Symbol.asyncDispose]();
  await bucket?.[Symbol.asyncDispose]();
  await endless?.[Symbol.asyncDispose]();
});

async function submit(): Promise<string> {
  const lines = Array.from({ length: LINES }, (_, index) =>
    JSON.stringify({
      custom_id: `line ${index}`,
      method: "POST",
      url: "/v1/chat/completions",
      // Every fifth has an error of its own.
      body: {
        model: endless.model,
        messages: [{ role: "user", content: "Go." }],
        max_tokens: index % 5 === 0 ? -1 : 200 + index,
      },
    }),
  );
  const file = await client.files.create({
    purpose: "batch",
    file: await toFile(Buffer.from(lines.join("\n")), "lines.jsonl"),
  });
  const { id } = await client.batches.create({
    input_file_id: file.id,
    endpoint: "/v1/chat/completions",
    completion_window: "24h",
  });
  await until(async () => ((await client.batches.retrieve(id)).request_counts?.completed ?? 0) > 10);
  return id;
}

async function expectExact(id: string): Promise<void> {
  const ended = await until(async () => {
    const batch = await client.batches.retrieve(id);
    return batch.status === "completed" ? batch : null;
  });
  const failed = LINES / 5;
  expect(ended.request_counts).toEqual({ total: LINES, completed: LINES - failed, failed });
  const idsOf = async (fileId: string | undefined) =>
    (await (await client.files.content(fileId ?? "")).text())
      .trim()
      .split("\n")
      .map((line) => Number((JSON.parse(line) as { custom_id: string }).custom_id.slice("line ".length)))
      .sort((a, b) => a - b);
  const all = Array.from({ length: LINES }, (_, index) => index);
  expect(await idsOf(ended.output_file_id)).toEqual(all.filter((index) => index % 5 !== 0));
  expect(await idsOf(ended.error_file_id)).toEqual(all.filter((index) => index % 5 === 0));
}

test("every line is answered once, over the death of the scheduler", async () => {
  const id = await submit();
  await cluster.schedulers.at(-1)?.kill("SIGKILL");
  await cluster.startScheduler();
  await expectExact(id);
});

test("every line is answered once, while the bucket goes away and comes back", async () => {
  const id = await submit();
  const scheduler = cluster.schedulers.at(-1);
  const before = scheduler?.output().length ?? 0;
  way.enter({ kind: "refuse" });
  await until(async () => scheduler?.output().slice(before).includes("batch can't go on just now"));
  way.enter({ kind: "pass", latencyMs: 0 });
  way.cut();
  await expectExact(id);
}, 60_000);
