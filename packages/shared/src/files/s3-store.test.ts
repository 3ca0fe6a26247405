import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { GetObjectCommand, ListObjectsV2Command, type PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { until } from "@quern/testing/cluster";
import { S3_BUCKET, S3_CREDENTIALS, type S3Server, startS3Server } from "@quern/testing/s3-server";
import { startTcpProxy } from "@quern/testing/tcp-proxy";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { describeFileStore } from "./file-store.fixture.ts";
import type { FileStore } from "./file-store.ts";
import type { BucketConfig } from "./file-store-config.ts";
import { openFileStore } from "./open-file-store.ts";
import { S3Segments } from "./s3-segments.ts";
import { S3Store } from "./s3-store.ts";

let server: S3Server;
let store: FileStore;
let observer: S3Client;

function config(changes: Partial<BucketConfig> = {}): BucketConfig {
  return {
    kind: "s3",
    bucket: S3_BUCKET,
    prefix: "quern/",
    endpoint: server.endpoint,
    region: null,
    forcePathStyle: true,
    ...changes,
  };
}

beforeAll(async () => {
  for (const [name, value] of Object.entries(S3_CREDENTIALS)) vi.stubEnv(name, value);
  server = await startS3Server();
  store = await openFileStore(config());
  observer = new S3Client({ endpoint: server.endpoint, region: "us-east-1", forcePathStyle: true });
});
afterAll(async () => {
  store?.close();
  observer?.destroy();
  await server?.[Symbol.asyncDispose]();
  vi.unstubAllEnvs();
});

async function contents(): Promise<string[]> {
  const { Contents = [] } = await observer.send(new ListObjectsV2Command({ Bucket: S3_BUCKET }));
  return Contents.map(({ Key = "" }) => Key);
}

const never = new AbortController().signal;
async function* one(text: string) {
  yield Buffer.from(text);
}

describeFileStore("a bucket", () => ({ store, contents }));

test("files lie under the prefix", async () => {
  await store.write("tenant/file-a", one("here"), never);
  const object = await observer.send(new GetObjectCommand({ Bucket: S3_BUCKET, Key: "quern/tenant/file-a" }));
  expect(await object.Body?.transformToString()).toBe("here");
});

test("1,100 segments, more than a page, go in one call", async () => {
  const file = await store.grow("tenant/many", "1", []);
  for (let append = 0; append < 1_100; append += 1) await file.append(Buffer.from("x"));
  await store.removeSegments("tenant/many");
  expect((await contents()).filter((key) => key.includes("many"))).toEqual([]);
});

test("an append that broke off, and arrives after all, leaves the next one as it is", async () => {
  const client = new S3Client({ endpoint: server.endpoint, region: "us-east-1", forcePathStyle: true });
  const place = { Bucket: S3_BUCKET, folder: "quern/tenant/late.segments/" };
  const file = new S3Segments(client, place, "1", []);
  const send = vi.spyOn(client, "send");
  send.mockRejectedValueOnce(Object.assign(new Error("it broke"), { code: "ECONNRESET" }));
  await expect(file.append(Buffer.from("first"))).rejects.toMatchObject({ code: "file_store_unavailable" });
  const [late] = send.mock.calls[0] ?? [];
  const segments = await file.append(Buffer.from("first and second"));
  await observer.send(late as PutObjectCommand);
  const content = await text(store.readSegments("tenant/late", segments));
  expect(content).toBe("first and second");
  client.destroy();
});

test("a bucket that falls silent is given up, and asked again later", async () => {
  await using proxy = await startTcpProxy({ port: Number(new URL(server.endpoint).port) });
  const patience = { connectionMs: 200, requestMs: 200, stallMs: 200 };
  const far = new S3Store(config({ endpoint: `http://127.0.0.1:${proxy.port}` }), patience);
  const large = Buffer.alloc(8 * 2 ** 20, "x");
  await far.write("tenant/large", Readable.from([large]), never);
  const unavailable = { code: "file_store_unavailable" };

  const reading = far.read("tenant/large");
  const chunks = reading[Symbol.asyncIterator]();
  await chunks.next();
  proxy.enter({ kind: "blackhole" });
  await expect(until(async () => (await chunks.next()).done)).rejects.toMatchObject(unavailable);
  await expect(far.size("tenant/large")).rejects.toMatchObject(unavailable);
  await expect(far.write("tenant/other", one("x"), never)).rejects.toMatchObject(unavailable);
  const growing = await far.grow("tenant/growing", "1", []);
  await expect(growing.append(Buffer.from("x"))).rejects.toMatchObject(unavailable);

  proxy.enter({ kind: "pass", latencyMs: 0 });
  expect(await text(far.readSegments("tenant/growing", await growing.append(Buffer.from("y"))))).toBe("y");
  expect(await far.size("tenant/large")).toBe(large.length);
  far.close();
}, 30_000);

test("who reads slowly is not silent", async () => {
  const patience = { connectionMs: 5_000, requestMs: 5_000, stallMs: 20 };
  const store = new S3Store(config(), patience);
  const large = Buffer.alloc(4 * 2 ** 20, "x");
  await store.write("tenant/slow", Readable.from([large]), never);
  let bytes = 0;
  for await (const chunk of store.read("tenant/slow")) {
    bytes += (chunk as Buffer).length;
    if (bytes < 2 ** 20) await sleep(2 * patience.stallMs);
  }
  expect(bytes).toBe(large.length);
  store.close();
}, 30_000);

test("a bucket that is not there, and a server that is gone, are told of", async () => {
  const nowhere = await openFileStore(config({ bucket: "no-such-bucket" }));
  await expect(nowhere.write("tenant/file", one("x"), never)).rejects.toMatchObject({
    code: "file_store_unavailable",
    message: expect.stringContaining("NoSuchBucket"),
  });
  nowhere.close();
  const other = await startS3Server();
  const gone = await openFileStore(config({ endpoint: other.endpoint }));
  await other.stop();
  await expect(gone.size("tenant/file")).rejects.toMatchObject({ code: "file_store_unavailable" });
  gone.close();
});
