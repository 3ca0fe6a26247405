import { randomUUID } from "node:crypto";
import { buffer } from "node:stream/consumers";
import { describe, expect, test } from "vitest";
import type { FileStore } from "./file-store.ts";

/** A store to test, and all that is in it, whatever it is called: file, segment or half a file. */
export interface TestedStore {
  store: FileStore;
  contents: () => Promise<string[]>;
}

const never = new AbortController().signal;
const newKey = () => `tenant/file-${randomUUID()}`;

async function* chunks(...parts: (string | Uint8Array)[]) {
  for (const part of parts) yield Buffer.from(part);
}

/** What every store promises. */
export function describeFileStore(name: string, tested: () => TestedStore): void {
  describe(name, () => {
    describeWholeFiles(tested);
    describeGrowingFiles(tested);
  });
}

function describeWholeFiles(tested: () => TestedStore): void {
  test("a file is written, read, measured and removed", async () => {
    const { store } = tested();
    const key = newKey();
    expect(await store.size(key)).toBeNull();
    expect(await store.write(key, chunks("one ", "two ", "three"), never)).toEqual({ bytes: 13 });
    expect(String(await buffer(store.read(key)))).toBe("one two three");
    expect(await store.size(key)).toBe(13);
    await store.remove(key);
    await store.remove(key);
    expect(await store.size(key)).toBeNull();
    await expect(buffer(store.read(key))).rejects.toMatchObject({ code: "file_missing" });
  });

  test("ranges", async () => {
    const { store } = tested();
    const key = newKey();
    await store.write(key, chunks("0123456789"), never);
    const read = async (start?: number, end?: number) =>
      String(
        await buffer(
          store.read(key, { ...(start !== undefined && { start }), ...(end !== undefined && { end }) }),
        ),
      );
    expect(await read(3)).toBe("3456789");
    expect(await read(3, 5)).toBe("34");
    expect(await read(undefined, 2)).toBe("01");
    expect(await read(8, 100)).toBe("89");
    expect(await read(10)).toBe("");
    expect(await read(4, 4)).toBe("");
  });

  test("an empty file, and one that takes the place of another", async () => {
    const { store } = tested();
    const key = newKey();
    expect(await store.write(key, chunks(), never)).toEqual({ bytes: 0 });
    expect(await store.size(key)).toBe(0);
    expect(await buffer(store.read(key))).toHaveLength(0);
    await store.write(key, chunks("new"), never);
    expect(String(await buffer(store.read(key)))).toBe("new");
  });

  test("20 MB come back as they went in", async () => {
    const { store } = tested();
    const key = newKey();
    const part = Buffer.alloc(2 ** 20).map((_, at) => at * 31);
    const parts = Array.from({ length: 20 }, () => part);
    expect(await store.write(key, chunks(...parts), never)).toEqual({ bytes: 20 * 2 ** 20 });
    expect((await buffer(store.read(key))).equals(Buffer.concat(parts))).toBe(true);
  });

  test.each([1, 12])("a source that breaks after %i MB leaves nothing", async (megabytes) => {
    const { store, contents } = tested();
    const before = await contents();
    const source = (async function* () {
      for (let sent = 0; sent < megabytes; sent += 1) yield Buffer.alloc(2 ** 20);
      throw new Error("the caller is gone");
    })();
    await expect(store.write(newKey(), source, never)).rejects.toThrow("the caller is gone");
    expect(await contents()).toEqual(before);
  });

  test("an abort ends a write whose source says nothing, and leaves nothing", async () => {
    const { store, contents } = tested();
    const before = await contents();
    const abort = new AbortController();
    const asked = Promise.withResolvers<void>();
    const source = (async function* () {
      for (let sent = 0; sent < 12; sent += 1) yield Buffer.alloc(2 ** 20);
      asked.resolve();
      await new Promise<never>(() => {});
    })();
    const writing = store.write(newKey(), source, abort.signal);
    await asked.promise;
    abort.abort();
    await expect(writing).rejects.toMatchObject({ name: "AbortError" });
    expect(await contents()).toEqual(before);
  });

  test("a reader that leaves early is let go", async () => {
    const { store } = tested();
    const key = newKey();
    await store.write(key, chunks(Buffer.alloc(5 * 2 ** 20)), never);
    const stream = store.read(key);
    for await (const chunk of stream) {
      expect((chunk as Buffer).length).toBeGreaterThan(0);
      break;
    }
    expect(stream.destroyed).toBe(true);
  });

  test.each(["../x", "a/../b", "/etc/passwd", "a", "a/b/c", "a/.b", "a/b.segments", "A/b", "", "a/"])(
    "%j is no key",
    async (key) => {
      const { store } = tested();
      await expect(store.write(key, chunks("x"), never)).rejects.toThrow("not a key");
      expect(() => store.read(key)).toThrow("not a key");
    },
  );
}

function describeGrowingFiles(tested: () => TestedStore): void {
  test("grows by appends, is followed, assembled, and its segments go", async () => {
    const { store, contents } = tested();
    const before = await contents();
    const key = newKey();
    const file = await store.grow(key, "1", []);
    await file.append(Buffer.from("one\n"));
    const segments = await file.append(Buffer.from("two\n"));
    await file.close();
    expect(String(await buffer(store.readSegments(key, segments)))).toBe("one\ntwo\n");
    expect(String(await buffer(store.readSegments(key, segments, { start: 2, end: 6 })))).toBe("e\ntw");
    expect(await store.size(key)).toBeNull();
    expect(await store.assemble(key, segments, never)).toEqual({ bytes: 8 });
    expect(String(await buffer(store.read(key)))).toBe("one\ntwo\n");
    await store.removeSegments(key);
    await store.removeSegments(key);
    // Whoever died before it could say so does it again.
    expect(await store.assemble(key, segments, never)).toEqual({ bytes: 8 });
    await store.remove(key);
    expect(await contents()).toEqual(before);
  });

  test("a writer that lost its lease harms nothing", async () => {
    const { store, contents } = tested();
    const before = await contents();
    const key = newKey();
    const stale = await store.grow(key, "1", []);
    const recorded = await stale.append(Buffer.from("recorded\n"));
    await stale.append(Buffer.from("never recorded\n"));
    const next = await store.grow(key, "2", recorded);
    await next.append(Buffer.from("by the next\n"));
    await stale.append(Buffer.from("too late\n"));
    const segments = await next.append(Buffer.from("the end\n"));
    await stale.close();
    await next.close();
    await store.assemble(key, segments, never);
    expect(String(await buffer(store.read(key)))).toBe("recorded\nby the next\nthe end\n");
    await store.remove(key);
    await store.removeSegments(key);
    expect(await contents()).toEqual(before);
  });

  test("the same writer goes on where its record ends", async () => {
    const { store } = tested();
    const key = newKey();
    const before = await store.grow(key, "7", []);
    const recorded = await before.append(Buffer.from("kept "));
    await before.append(Buffer.from("lost with the process"));
    await before.close();
    const again = await store.grow(key, "7", recorded);
    const segments = await again.append(Buffer.from("and more"));
    await again.close();
    expect(String(await buffer(store.readSegments(key, segments)))).toBe("kept and more");
  });

  test("a file without segments is assembled as an empty one", async () => {
    const { store } = tested();
    const key = newKey();
    expect(await store.assemble(key, [], never)).toEqual({ bytes: 0 });
    expect(await store.size(key)).toBe(0);
  });

  test("segments that are gone or short make no file", async () => {
    const { store } = tested();
    const key = newKey();
    const file = await store.grow(key, "1", []);
    const segments = await file.append(Buffer.from("here"));
    await file.close();
    const longer = segments.map(({ name, bytes }) => ({ name, bytes: bytes + 1 }));
    await expect(store.assemble(key, longer, never)).rejects.toMatchObject({ code: "file_missing" });
    const other = [...segments, { name: "gone", bytes: 1 }];
    await expect(store.assemble(key, other, never)).rejects.toMatchObject({ code: "file_missing" });
    expect(await store.size(key)).toBeNull();
  });
}
