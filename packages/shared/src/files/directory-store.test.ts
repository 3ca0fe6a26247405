import { mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DirectoryStore } from "./directory-store.ts";
import { describeFileStore } from "./file-store.fixture.ts";

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "quern-files-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function contents(): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
}

describeFileStore("a directory", () => ({ store: new DirectoryStore(root), contents }));

test("leftovers go when they have been silent for long enough, and files stay", async () => {
  const store = new DirectoryStore(join(root, "leftovers"));
  expect(await store.removeLeftovers(0)).toBe(0);
  const signal = new AbortController().signal;
  await store.write("tenant/file", Readable.from([Buffer.from("kept")]), signal);
  for (const name of ["old", "young"])
    await writeFile(join(root, "leftovers", ".uploads", name), "half a fi");
  const hourAgo = new Date(Date.now() - 3_600_000);
  await utimes(join(root, "leftovers", ".uploads", "old"), hourAgo, hourAgo);
  expect(await store.removeLeftovers(3_500_000)).toBe(1);
  expect(await readdir(join(root, "leftovers", ".uploads"))).toEqual(["young"]);
  expect(await store.size("tenant/file")).toBe(4);
});

test("a folder that can't be is told of", async () => {
  await writeFile(join(root, "a-file"), "");
  const store = new DirectoryStore(join(root, "a-file"));
  const writing = store.write("tenant/file", Readable.from([Buffer.from("x")]), new AbortController().signal);
  await expect(writing).rejects.toMatchObject({ code: "file_store_unavailable" });
});
