import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type ModelServer, startModelServer } from "@quern/testing/gguf/model-server";
import { writeRandomModel } from "@quern/testing/gguf/random-model";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type CatalogueEntry, ENTRY_DEFAULTS } from "./catalogue-schema.ts";
import { type DownloadProgress, type EnsureModelFileOptions, ensureModelFile } from "./download.ts";
import { locateModelFile } from "./model-files.ts";
import type { ModelSource } from "./model-source.ts";

const REPO = "Qwen/Qwen3-0.6B-GGUF";

let model: Buffer;
let otherModel: Buffer;
let server: ModelServer;
let folder: string;

beforeAll(async () => {
  const made = await mkdtemp(join(tmpdir(), "quern-model-"));
  await writeRandomModel(join(made, "a.gguf"), { seed: 1 });
  await writeRandomModel(join(made, "b.gguf"), { seed: 2 });
  model = await readFile(join(made, "a.gguf"));
  otherModel = await readFile(join(made, "b.gguf"));
  await rm(made, { recursive: true });
});

beforeEach(async () => {
  server = await startModelServer();
  server.files.set("/m.gguf", model);
  folder = await mkdtemp(join(tmpdir(), "quern-download-"));
});

afterEach(async () => {
  await server[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

afterAll(() => {
  model = otherModel = Buffer.alloc(0);
});

describe("a file from a URL", () => {
  test("arrives whole, with progress, and is found without the network afterwards", async () => {
    const seen: DownloadProgress[] = [];
    const path = await ensure(fromUrl(), { onProgress: (progress) => seen.push(progress) });
    expect((await readFile(path)).equals(model)).toBe(true);
    expect(seen.at(0)).toMatchObject({ phase: "downloading", receivedBytes: 0, totalBytes: model.length });
    expect(seen.at(-1)).toMatchObject({ receivedBytes: model.length });
    expect(await readdir(dirname(path))).toEqual(["m.gguf"]);

    expect(await ensure(fromUrl())).toBe(path);
    expect(await locateModelFile(fromUrl(), { cacheDir: folder })).toBe(path);
    expect(server.requests).toHaveLength(1);
  });

  test("goes on where connections were cut", async () => {
    server.faults.push({ kind: "silence", afterBytes: 100_000 }, { kind: "silence", afterBytes: 50_000 });
    const path = await ensure(fromUrl({ sha256: sha256(model) }), { onProgress: cutAt(100_000, 150_000) });
    expect((await readFile(path)).equals(model)).toBe(true);
    expect(server.requests.map(({ range }) => range)).toEqual([null, "bytes=100000-", "bytes=150000-"]);
  });

  test("goes on in another process's place after an abort, and the digest covers both parts", async () => {
    server.faults.push({ kind: "silence", afterBytes: 120_000 });
    const stop = new AbortController();
    const onProgress = ({ receivedBytes }: DownloadProgress) => receivedBytes >= 120_000 && stop.abort();
    await expect(ensure(fromUrl(), { signal: stop.signal, onProgress })).rejects.toThrow(/abort/i);

    await ensure(fromUrl({ sha256: sha256(model) }));
    expect(server.requests[1]?.range).toBe("bytes=120000-");
  });

  test("a connection that falls silent is given up and continued", async () => {
    server.faults.push({ kind: "silence", afterBytes: 1_000 });
    await ensure(fromUrl({ sha256: sha256(model) }), { idleTimeoutMs: 100 });
    expect(server.requests[1]?.range).toBe("bytes=1000-");
  });

  test("starts over when the file has changed meanwhile", async () => {
    server.faults.push({ kind: "silence", afterBytes: 100_000 });
    const cut = cutAt(100_000);
    const onProgress = (progress: DownloadProgress) => {
      if (progress.receivedBytes === 100_000) server.files.set("/m.gguf", otherModel);
      cut(progress);
    };
    const path = await ensure(fromUrl({ sha256: sha256(otherModel) }), { onProgress });
    expect((await readFile(path)).equals(otherModel)).toBe(true);
    expect(server.requests[1]?.range).toBe("bytes=100000-");
  });

  test("a server without ranges is read from the start again", async () => {
    server.ignoreRanges = true;
    server.faults.push({ kind: "silence", afterBytes: 100_000 });
    await ensure(fromUrl({ sha256: sha256(model) }), { onProgress: cutAt(100_000) });
    expect(server.requests).toHaveLength(2);
  });

  test("a part that was complete already is finished (416), one that is too long starts over", async () => {
    const path = await ensure(fromUrl());
    const etag = `"${createHash("md5").update(model).digest("hex")}"`;
    for (const onDisk of [model, Buffer.concat([model, Buffer.alloc(5)])]) {
      await rm(path);
      await writeFile(`${path}.part`, onDisk);
      await writeFile(`${path}.part.json`, JSON.stringify({ url: `${server.origin}/m.gguf`, etag }));
      await ensure(fromUrl({ sha256: sha256(model) }));
      expect((await readFile(path)).equals(model)).toBe(true);
    }
    expect(server.requests.map(({ range }) => range)).toEqual([
      null,
      `bytes=${model.length}-`,
      `bytes=${model.length + 5}-`,
      null,
    ]);
  });

  test("503 and 429 are tried again", async () => {
    server.faults.push(
      { kind: "status", status: 503 },
      { kind: "status", status: 429, headers: { "retry-after": "0" } },
    );
    await ensure(fromUrl());
    expect(server.requests).toHaveLength(3);
  });

  test("gives up after maxTries without a byte, and keeps what it has", async () => {
    server.faults.push({ kind: "silence", afterBytes: 70_000 });
    for (let i = 0; i < 3; i++) server.faults.push({ kind: "status", status: 503 });
    await expect(ensure(fromUrl(), { maxTries: 3, onProgress: cutAt(70_000) })).rejects.toMatchObject({
      code: "download_failed",
      message: expect.stringMatching(/answers 503, 3 times in a row; .*run the same command again/),
    });
    await ensure(fromUrl({ sha256: sha256(model) }));
    expect(server.requests.at(-1)?.range).toBe("bytes=70000-");
  });

  test("404 fails at once and names the cure", async () => {
    server.files.clear();
    await expect(ensure(fromUrl())).rejects.toMatchObject({
      code: "download_failed",
      message: expect.stringContaining("404; check the name in the catalogue"),
    });
    expect(server.requests).toHaveLength(1);
  });

  test("a server that nobody answers for is a download_failed", async () => {
    await using gone = await startModelServer();
    const url = `${gone.origin}/m.gguf?signature=secret`;
    await gone[Symbol.asyncDispose]();
    const failure = await ensure(entryOf({ kind: "url", url }), { maxTries: 2 }).catch(
      (error: Error) => error,
    );
    expect(failure).toMatchObject({
      code: "download_failed",
      message: expect.stringContaining("ECONNREFUSED"),
    });
    expect(String(failure)).not.toContain("secret");
  });

  test("a wrong digest is refused and nothing is kept", async () => {
    const failure = ensure(fromUrl({ sha256: sha256(otherModel) }));
    await expect(failure).rejects.toMatchObject({
      code: "checksum_mismatch",
      message: expect.stringContaining(sha256(model)),
    });
    expect(await filesBelow(folder)).toEqual([]);
  });

  test("a web page in a model's place is refused", async () => {
    server.files.set("/m.gguf", Buffer.from("<html>please log in</html>"));
    await expect(ensure(fromUrl())).rejects.toMatchObject({ code: "model_file_invalid" });
    expect(await filesBelow(folder)).toEqual([]);
  });

  test("a disk too small is said before the first byte is stored", async () => {
    await expect(ensure(fromUrl(), { freeDiskBytes: async () => 1_000_000 })).rejects.toMatchObject({
      code: "download_failed",
      message: expect.stringMatching(
        /0\.00 GB free where 0\.07 GB are needed: make room, or set QUERN_MODEL_CACHE_DIR/,
      ),
    });
  });

  test("a cache folder that can't be made is one clear error", async () => {
    await writeFile(join(folder, "file"), "");
    await expect(ensure(fromUrl(), { cacheDir: join(folder, "file", "cache") })).rejects.toMatchObject({
      code: "download_failed",
      message: expect.stringContaining("QUERN_MODEL_CACHE_DIR"),
    });
  });
});

describe("two at once", () => {
  test("one downloads, the other waits and finds it", async () => {
    const waits: DownloadProgress[] = [];
    const onProgress = (progress: DownloadProgress) => progress.phase === "waiting" && waits.push(progress);
    const [a, b] = await Promise.all([ensure(fromUrl(), { onProgress }), ensure(fromUrl(), { onProgress })]);
    expect(a).toBe(b);
    expect(server.requests).toHaveLength(1);
    expect(waits).toHaveLength(1);
  });
});

describe("a Hugging Face repository", () => {
  const resolve = (file: string) => `/${REPO}/resolve/main/${file}`;

  function publish(files: Record<string, Buffer>, withDigests: boolean): void {
    server.repositories.set(REPO, {
      id: REPO,
      siblings: [
        { rfilename: "README.md", size: 3 },
        ...Object.entries(files).map(([rfilename, content]) => ({
          rfilename,
          ...(withDigests
            ? { size: content.length, lfs: { sha256: sha256(content), size: content.length } }
            : {}),
        })),
      ],
    });
    for (const [file, content] of Object.entries(files)) {
      server.files.set(`/store/${file}`, content);
      server.redirects.set(resolve(file), {
        location: `/store/${file}?signature=secret`,
        headers: { "x-linked-etag": `"${sha256(content)}"`, "x-linked-size": String(content.length) },
      });
    }
  }

  test("the file of the quantization is taken and checked, through the redirect", async () => {
    publish({ "Qwen3-0.6B-Q8_0.gguf": model, "Qwen3-0.6B-Q4_K_M.gguf": otherModel }, true);
    const path = await ensure(fromHf("q8_0"), { hfToken: "hf_secret" });
    expect((await readFile(path)).equals(model)).toBe(true);
    expect(path).toBe(join(folder, "hf", REPO, "Qwen3-0.6B-Q8_0.gguf"));
    expect(server.requests.map((request) => request.authorization)).toEqual(
      Array(3).fill("Bearer hf_secret"),
    );
    expect(await ensure(fromHf("Q8_0"))).toBe(path);
  });

  test("the token does not follow a redirect to another host", async () => {
    publish({ "Qwen3-0.6B-Q8_0.gguf": model }, true);
    await using store = await startModelServer();
    store.files.set("/blob", model);
    server.redirects.set(resolve("Qwen3-0.6B-Q8_0.gguf"), { location: `${store.origin}/blob`, headers: {} });
    await ensure(fromHf("Q8_0"), { hfToken: "hf_secret" });
    expect(store.requests.map(({ authorization }) => authorization)).toEqual([null]);
  });

  test("all parts of a split model come, and the first is the one to load", async () => {
    publish(splitModel(), true);
    const path = await ensure(fromHf("Q4_K_M"));
    expect(path).toBe(join(folder, "hf", REPO, "big/M-Q4_K_M-00001-of-00002.gguf"));
    expect((await filesBelow(folder)).length).toBe(2);

    await rm(path.replace("00001-of", "00002-of"));
    await expect(locateModelFile(fromHf("Q4_K_M"), { cacheDir: folder })).rejects.toMatchObject({
      code: "model_file_missing",
    });
  });

  test.each([true, false])("progress counts all parts together (sizes listed: %s)", async (listed) => {
    publish(splitModel(), listed);
    const seen: DownloadProgress[] = [];
    await ensure(fromHf("Q4_K_M"), { onProgress: (progress) => seen.push(progress) });
    const totalBytes = model.length + otherModel.length;
    expect(seen.at(0)).toMatchObject({
      part: 1,
      parts: 2,
      receivedBytes: 0,
      totalBytes: listed ? totalBytes : null,
    });
    expect(seen.find(({ part }) => part === 2)).toMatchObject({ receivedBytes: model.length, totalBytes });
    expect(seen.at(-1)).toMatchObject({ part: 2, receivedBytes: totalBytes, totalBytes });
    const received = seen.map(({ receivedBytes }) => receivedBytes);
    expect(received).toEqual([...received].sort((a, b) => a - b));
  });

  test("a split model goes on within the part where it stopped, and keeps the parts before", async () => {
    publish(splitModel(), true);
    const stop = new AbortController();
    server.faults.push({ kind: "silence", afterBytes: 70_000 });
    const cut = cutAt(70_000);
    await expect(
      ensure(fromHf("Q4_K_M"), {
        signal: stop.signal,
        onProgress: (progress) => {
          cut(progress);
          if (progress.receivedBytes === model.length && progress.part === 1)
            server.faults.push({ kind: "silence", afterBytes: 90_000 });
          if (progress.receivedBytes >= model.length + 90_000) stop.abort();
        },
      }),
    ).rejects.toThrow(/abort/i);
    await ensure(fromHf("Q4_K_M"));
    const stored = server.requests.filter(({ path }) => path.startsWith("/store/"));
    expect(stored.map(({ path, range }) => [path.slice(-18, -14), range])).toEqual([
      ["0001", null],
      ["0001", "bytes=70000-"],
      ["0002", null],
      ["0002", "bytes=90000-"],
    ]);
  });

  test("a disk without room for all parts is refused before the first byte", async () => {
    publish(splitModel(), true);
    const freeDiskBytes = async () => model.length + 64 * 1024 * 1024;
    await expect(ensure(fromHf("Q4_K_M"), { freeDiskBytes })).rejects.toMatchObject({
      code: "download_failed",
      message: expect.stringContaining("QUERN_MODEL_CACHE_DIR"),
    });
    expect(await filesBelow(folder)).toEqual([]);
  });

  test("a repository that lacks a part says which", async () => {
    const [first = ""] = Object.keys(splitModel());
    publish({ [first]: model }, true);
    await expect(ensure(fromHf("Q4_K_M"))).rejects.toMatchObject({
      code: "download_failed",
      message: expect.stringContaining("lacks big/M-Q4_K_M-00002-of-00002.gguf of Q4_K_M"),
    });
  });

  test.each([true, false])(
    "damaged bytes are found by the source's own digest (listed: %s)",
    async (listed) => {
      publish({ "M-Q8_0.gguf": model }, listed);
      server.files.set("/store/M-Q8_0.gguf", otherModel);
      await expect(ensure(fromHf("Q8_0"))).rejects.toMatchObject({ code: "checksum_mismatch" });
    },
  );

  test("a catalogue digest that the source contradicts is said before the download", async () => {
    publish({ "M-Q8_0.gguf": model }, false);
    await expect(ensure({ ...fromHf("Q8_0"), sha256: sha256(otherModel) })).rejects.toMatchObject({
      code: "checksum_mismatch",
    });
    expect(await filesBelow(folder)).toEqual([]);
  });

  test("a quantization it lacks names those it has", async () => {
    publish({ "M-Q8_0.gguf": model, "M-Q4_K_M.gguf": model, "mmproj-F16.gguf": model }, true);
    await expect(ensure(fromHf("Q5_K_M"))).rejects.toMatchObject({
      code: "download_failed",
      message: `${REPO} has no Q5_K_M: it has Q4_K_M, Q8_0; name one of these`,
    });
  });

  test("a gated repository asks for a token", async () => {
    server.repositories.clear();
    server.faults.push({ kind: "status", status: 401 });
    await expect(ensure(fromHf("Q8_0"))).rejects.toMatchObject({
      code: "download_failed",
      message: expect.stringContaining("HF_TOKEN"),
    });
  });
});

test("a URL of a split model's first part brings all of them", async () => {
  server.files.set("/s/M-00001-of-00002.gguf", model);
  server.files.set("/s/M-00002-of-00002.gguf", otherModel);
  const url = `${server.origin}/s/M-00001-of-00002.gguf?sig=a`;
  const path = await ensure(entryOf({ kind: "url", url }));
  expect((await readFile(path.replace("00001-of", "00002-of"))).equals(otherModel)).toBe(true);
  expect(await ensure(entryOf({ kind: "url", url }))).toBe(path);
});

describe("a file that is here", () => {
  test("is checked against the catalogue's digest", async () => {
    const path = join(folder, "mine.gguf");
    await writeFile(path, model);
    const entry = entryOf({ kind: "path", path });
    expect(await ensure({ ...entry, sha256: sha256(model) })).toBe(path);
    await expect(ensure({ ...entry, sha256: sha256(otherModel) })).rejects.toMatchObject({
      code: "checksum_mismatch",
    });
  });

  test("missing, or no GGUF: one line with the cure", async () => {
    const path = join(folder, "mine.gguf");
    await expect(ensure(entryOf({ kind: "path", path }))).rejects.toMatchObject({
      code: "model_file_missing",
    });
    await writeFile(path, "no");
    await expect(ensure(entryOf({ kind: "path", path }))).rejects.toMatchObject({
      code: "model_file_invalid",
    });
    await rm(path);
    await mkdir(path);
    await expect(ensure(entryOf({ kind: "path", path }))).rejects.toMatchObject({
      code: "model_file_missing",
    });
    await expect(locateModelFile(fromHf("Q8_0"), { cacheDir: folder })).rejects.toMatchObject({
      code: "model_file_missing",
      message: "the model test-model is not on this machine yet: run npx quern models pull test-model",
    });
  });
});

/** Two files, for a model in two parts. */
function splitModel(): Record<string, Buffer> {
  return { "big/M-Q4_K_M-00001-of-00002.gguf": model, "big/M-Q4_K_M-00002-of-00002.gguf": otherModel };
}

function entryOf(source: ModelSource): CatalogueEntry {
  return { ...ENTRY_DEFAULTS, alias: "test-model", aliases: [], source, sha256: null };
}

function fromUrl(more: Partial<CatalogueEntry> = {}): CatalogueEntry {
  return { ...entryOf({ kind: "url", url: `${server.origin}/m.gguf` }), ...more };
}

function fromHf(quantization: string): CatalogueEntry {
  return entryOf({ kind: "hf", repo: REPO, quantization });
}

function ensure(entry: CatalogueEntry, options: Partial<EnsureModelFileOptions> = {}): Promise<string> {
  return ensureModelFile(entry, {
    cacheDir: folder,
    signal: new AbortController().signal,
    hfEndpoint: server.origin,
    retryDelayMs: () => 0,
    ...options,
  });
}

/** Cuts the connections when exactly so many bytes have been kept, once each. */
function cutAt(...receivedBytes: number[]): (progress: DownloadProgress) => void {
  const left = new Set(receivedBytes);
  return (progress) => {
    if (left.delete(progress.receivedBytes)) server.cutConnections();
  };
}

function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

async function filesBelow(path: string): Promise<string[]> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name);
}
