import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, readlink, rm } from "node:fs/promises";
import { request as httpRequest } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import type { FileRecord } from "@quern/shared/contract/file";
import { DUE_FILES_KEY } from "@quern/shared/contract/names";
import { newFileId } from "@quern/shared/files/file-id";
import { connectRedis } from "@quern/shared/redis/connect";
import { createFileRecord, readFileRecord, reserveFile } from "@quern/shared/redis/file-records";
import { type Cluster, startCluster, startReadyGateway, until } from "@quern/testing/cluster";
import { limitFileSize } from "@quern/testing/full-disk";
import type { Redis } from "ioredis";
import OpenAI, { toFile } from "openai";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";

// Promise: a file is there whole or not at all, whatever is wrong with its upload, and OpenAI's own client works unchanged.

const MIB = 2 ** 20;
const MAX_FILE_BYTES = 220 * MIB;

let folder: string;
let cluster: Cluster;
let redis: Redis;
let client: OpenAI;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-files-"));
  cluster = await startCluster({
    workers: [],
    schedulers: [],
    env: { QUERN_FILES: folder, QUERN_MAX_FILE_BYTES: String(MAX_FILE_BYTES) },
  });
  await until(async () => (await fetch(`${cluster.url}/readyz`)).ok);
  redis = connectRedis(cluster.redis.url, "work", () => {});
  client = new OpenAI({ baseURL: `${cluster.url}/v1`, apiKey: "unused", maxRetries: 0 });
});
afterAll(async () => {
  redis?.disconnect();
  await cluster?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});
afterEach(async () => {
  for await (const { id } of client.files.list()) await client.files.delete(id);
  expect(await stored()).toEqual([]);
  expect(await dueFiles()).toBe(0);
});

/** What the store has, by paths: whole files, half ones, segments. */
async function stored(): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
}

const dueFiles = () => redis.zcard(DUE_FILES_KEY);

const REQUESTS = '{"custom_id":"1"}\r\n{"custom_id":"2"}\n';
const upload = (content = REQUESTS, more: object = {}) =>
  toFile(Buffer.from(content), "requests.jsonl").then((file) =>
    client.files.create({ file, purpose: "batch", ...more }),
  );

test("OpenAI's client uploads, reads, lists, downloads and deletes", async () => {
  const nowSeconds = Date.now() / 1_000;
  const file = await upload(REQUESTS, { expires_after: { anchor: "created_at", seconds: 3_600 } });
  expect(file).toEqual({
    id: expect.stringMatching(/^file-/),
    object: "file",
    bytes: REQUESTS.length,
    created_at: expect.closeTo(nowSeconds, -1),
    expires_at: file.created_at + 3_600,
    filename: "requests.jsonl",
    purpose: "batch",
    status: "uploaded",
  });
  expect(await client.files.retrieve(file.id)).toEqual(file);
  expect(await (await client.files.content(file.id)).text()).toBe(REQUESTS);
  const other = await upload("{}");
  expect(other.expires_at).toBeUndefined();
  expect((await Array.fromAsync(client.files.list())).map(({ id }) => id)).toEqual([other.id, file.id]);
  expect(await Array.fromAsync(client.files.list({ purpose: "batch_output" as never }))).toEqual([]);
  const pages = await Array.fromAsync(client.files.list({ limit: 1, order: "asc" }));
  expect(pages.map(({ id }) => id)).toEqual([file.id, other.id]);
  expect(await client.files.delete(file.id)).toEqual({ id: file.id, object: "file", deleted: true });
  for (const ask of [
    client.files.retrieve(file.id),
    client.files.content(file.id),
    client.files.delete(file.id),
  ]) {
    await expect(ask).rejects.toMatchObject({ status: 404, code: "file_not_found" });
  }
});

test("parts of a content", async () => {
  const { id } = await upload("0123456789");
  const content = async (range?: string, method = "GET") =>
    await fetch(`${cluster.url}/v1/files/${id}/content`, {
      method,
      headers: range === undefined ? {} : { range },
    });
  const whole = await content();
  expect(whole.status).toBe(200);
  expect(Object.fromEntries(whole.headers)).toMatchObject({
    "content-length": "10",
    "accept-ranges": "bytes",
    "content-type": "application/octet-stream",
    "content-disposition": "attachment; filename=requests.jsonl",
    "x-content-type-options": "nosniff",
  });
  expect(await whole.text()).toBe("0123456789");
  const part = await content("bytes=2-4");
  expect([part.status, part.headers.get("content-range"), await part.text()]).toEqual([
    206,
    "bytes 2-4/10",
    "234",
  ]);
  const beyond = await content("bytes=10-");
  expect([beyond.status, beyond.headers.get("content-range")]).toEqual([416, "bytes */10"]);
  const head = await content(undefined, "HEAD");
  expect([head.status, head.headers.get("content-length")]).toEqual([200, "10"]);
});

test("a file of another tenant is not there, and stays", async () => {
  const record: FileRecord = {
    id: newFileId(),
    tenant: "another",
    purpose: "batch",
    filename: "theirs.jsonl",
    bytes: 1,
    createdAtMs: Date.now(),
    expiresAtMs: null,
    status: "uploaded",
  };
  await reserveFile(redis, record, Date.now() + 60_000);
  expect(await createFileRecord(redis, record)).toBe(true);
  const url = `${cluster.url}/v1/files/${record.id}`;
  for (const [path, method] of [
    [url, "GET"],
    [`${url}/content`, "GET"],
    [url, "DELETE"],
  ] as const) {
    expect((await fetch(path, { method })).status).toBe(404);
  }
  expect(await Array.fromAsync(client.files.list())).toEqual([]);
  expect(await readFileRecord(redis, record.id)).toEqual(record);
});

interface Refusal {
  error: { code: string; message: string; param: string | null };
}

async function refused(body: RequestInit["body"], headers: Record<string, string> = {}) {
  const reply = await fetch(`${cluster.url}/v1/files`, { method: "POST", body: body ?? null, headers });
  return { status: reply.status, ...((await reply.json()) as Refusal).error };
}

function form(parts: Record<string, string | Blob>): FormData {
  const data = new FormData();
  for (const [name, value] of Object.entries(parts)) {
    if (typeof value === "string") data.append(name, value);
    else data.append(name, value, "a.jsonl");
  }
  return data;
}
const blob = (...content: (string | Uint8Array<ArrayBuffer>)[]) => new Blob(content);

test.each([
  ["no file", form({ purpose: "batch" }), /'file' is missing/],
  ["no purpose", form({ file: blob("{}") }), /purpose: is missing/],
  ["another purpose", form({ purpose: "fine-tune", file: blob("{}") }), /must be 'batch'/],
  ["another purpose, said last", form({ file: blob("{}"), purpose: "vision" }), /must be 'batch'/],
  ["a file that is a field", form({ purpose: "batch", file: "{}" }), /no filename/],
  ["a file by another name", form({ purpose: "batch", upload: blob("{}") }), /as the part 'file'/],
  [
    "an unknown field",
    form({ purpose: "batch", color: "blue", file: blob("{}") }),
    /unknown parameter: color/,
  ],
  [
    "a dangerous name",
    form({ "__proto__[x]": "1", purpose: "batch", file: blob("{}") }),
    /unknown parameter/,
  ],
  ["an empty file", form({ purpose: "batch", file: blob("") }), /is empty/],
  ["gzip", form({ purpose: "batch", file: blob(new Uint8Array([0x1f, 0x8b, 8])) }), /unpack/],
  ["UTF-16", form({ purpose: "batch", file: blob(new Uint8Array([0xff, 0xfe, 0x7b, 0])) }), /UTF-8/],
  ["NUL bytes", form({ purpose: "batch", file: blob('{"a":1}\n', new Uint8Array([0, 0])) }), /NUL/],
])("%s is refused, with the cure", async (_, body, message) => {
  expect(await refused(body)).toMatchObject({
    status: 400,
    code: "invalid_request",
    message: expect.stringMatching(message),
  });
  expect(await stored()).toEqual([]);
});

test("two files, JSON, and a form that is not whole are refused", async () => {
  const two = form({ purpose: "batch", file: blob("{}") });
  two.append("file", blob("{}"), "b.jsonl");
  expect(await refused(two)).toMatchObject({ status: 400, message: expect.stringMatching(/two files/) });
  expect(await refused("{}", { "content-type": "application/json" })).toMatchObject({
    status: 400,
    message: expect.stringMatching(/multipart\/form-data.*instead of 'application\/json'/),
  });
  expect(await refused("x", { "content-type": "multipart/form-data; a=b" })).toMatchObject({ status: 400 });
  const beginning = '--b\r\ncontent-disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n{"half":';
  expect(await refused(beginning, { "content-type": "multipart/form-data; boundary=b" })).toMatchObject({
    status: 400,
    message: expect.stringMatching(/not whole/),
  });
});

test("a mark of UTF-8 is no fault", async () => {
  const { id } = await upload("\ufeff{}");
  expect(await (await client.files.content(id)).text()).toBe("{}"); // `text` takes it off
  expect(await stored()).toHaveLength(1);
});

const BOUNDARY = "----quern-test";
const FORM_HEAD = `--${BOUNDARY}\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--${BOUNDARY}\r\ncontent-disposition: form-data; name="file"; filename="../../big.jsonl"\r\n\r\n`;
const FORM_TAIL = `\r\n--${BOUNDARY}--\r\n`;
const formType = { "content-type": `multipart/form-data; boundary=${BOUNDARY}` };

/** An upload whose content is made while it is sent, without its length said before. */
async function streamed(content: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<Response> {
  const body = (async function* () {
    yield Buffer.from(FORM_HEAD);
    yield* content;
    yield Buffer.from(FORM_TAIL);
  })();
  return await fetch(`${cluster.url}/v1/files`, {
    method: "POST",
    headers: formType,
    body: Readable.toWeb(Readable.from(body)) as ReadableStream,
    duplex: "half",
  } as RequestInit);
}

function* lines(megabytes: number): Generator<Uint8Array> {
  const line = Buffer.from(`${JSON.stringify({ text: "x".repeat(1_012) })}\n`);
  const chunk = Buffer.concat(Array.from({ length: MIB / line.length }, () => line));
  for (let sent = 0; sent < megabytes; sent += 1) yield chunk;
}

/** In bytes, of the gateway's process. */
async function memory(): Promise<number> {
  const status = await readFile(`/proc/${cluster.gateways[0]?.pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1_024;
}

test("200 MB go through, up and down, without being held in memory", async () => {
  // What any work brings about, of code and buffers, is there by then.
  const first = (await (await streamed(lines(30))).json()) as OpenAI.FileObject;
  await (await client.files.content(first.id)).arrayBuffer();
  const idle = await memory();
  let peak = idle;
  const watch = setInterval(async () => {
    peak = Math.max(peak, await memory());
  }, 20);
  try {
    const reply = await streamed(lines(200));
    expect(reply.status).toBe(200);
    const file = (await reply.json()) as OpenAI.FileObject;
    expect(file).toMatchObject({ bytes: 200 * MIB, filename: "big.jsonl" });
    const [sent, received] = [createHash("sha256"), createHash("sha256")];
    for (const chunk of lines(200)) sent.update(chunk);
    const content = await client.files.content(file.id);
    for await (const chunk of content.body ?? []) received.update(chunk);
    expect(received.digest("hex")).toBe(sent.digest("hex"));
  } finally {
    clearInterval(watch);
  }
  expect(peak - idle).toBeLessThan(80 * MIB);
});

test("a file that is too large is refused by its limit, said before or not", async () => {
  const body = { code: "body_too_large", message: expect.stringContaining(String(MAX_FILE_BYTES)) };
  const reply = await streamed(lines(MAX_FILE_BYTES / MIB + 1));
  expect(reply.status).toBe(413);
  expect(((await reply.json()) as Refusal).error).toMatchObject(body);
  const said = httpRequest(`${cluster.url}/v1/files`, {
    method: "POST",
    headers: { ...formType, "content-length": 300 * MIB, expect: "100-continue" },
  });
  said.flushHeaders();
  const [answer] = await once(said, "response");
  expect(answer.statusCode).toBe(413);
  said.destroy();
});

test("nothing is left of an upload whose caller is gone", async () => {
  const sending = httpRequest(`${cluster.url}/v1/files`, { method: "POST", headers: formType });
  sending.on("error", () => {});
  sending.write(FORM_HEAD);
  for (const chunk of lines(5)) sending.write(chunk);
  await until(async () => (await stored()).length === 1);
  sending.destroy();
  await until(async () => (await stored()).length === 0);
  await until(async () => (await dueFiles()) === 0);
});

test("a reader that leaves is let go of, and the next one is served", async () => {
  const reply = await streamed(lines(50));
  const { id } = (await reply.json()) as OpenAI.FileObject;
  for (let reader = 0; reader < 5; reader += 1) {
    const content = await fetch(`${cluster.url}/v1/files/${id}/content`);
    const body = content.body?.getReader();
    await body?.read();
    await body?.cancel();
  }
  const pid = cluster.gateways[0]?.pid;
  const openFiles = async () => {
    const links = await Promise.all(
      (await readdir(`/proc/${pid}/fd`)).map((fd) => readlinkOrNone(`/proc/${pid}/fd/${fd}`)),
    );
    return links.filter((link) => link.startsWith(folder)).length;
  };
  await until(async () => (await openFiles()) === 0);
  expect(Buffer.byteLength(await (await client.files.content(id)).text())).toBe(50 * MIB);
});

async function readlinkOrNone(path: string): Promise<string> {
  return await readlink(path).catch(() => "");
}

test("a full disk is said to be one, and nothing is left", async () => {
  const pid = cluster.gateways[0]?.pid ?? 0;
  await limitFileSize(pid, 2 * MIB);
  try {
    const reply = await streamed(lines(5));
    expect(reply.status).toBe(507);
    expect(reply.headers.get("x-should-retry")).toBe("false");
    expect(((await reply.json()) as Refusal).error).toMatchObject({
      code: "file_store_full",
      message: expect.stringMatching(/no room/),
    });
    expect(cluster.gateways[0]?.output()).toContain("file store failed");
    expect(await stored()).toEqual([]);
  } finally {
    await limitFileSize(pid, null);
  }
  expect((await streamed(lines(5))).status).toBe(200);
});

test("a gateway that is killed in the middle of an upload leaves a file that nobody sees", async () => {
  const url = await startReadyGateway(cluster);
  const gateway = cluster.gateways.at(-1);
  const sending = httpRequest(`${url}/v1/files`, { method: "POST", headers: formType });
  sending.on("error", () => {});
  sending.write(FORM_HEAD);
  for (const chunk of lines(5)) sending.write(chunk);
  await until(async () => (await stored()).length === 1);
  await gateway?.kill("SIGKILL");
  expect(await Array.fromAsync(client.files.list())).toEqual([]);
  // The scheduler's to remove, an hour later: apps/scheduler/src/files/.
  expect(await dueFiles()).toBe(1);
  for (const path of await stored()) await rm(path);
  await redis.del(DUE_FILES_KEY);
});
