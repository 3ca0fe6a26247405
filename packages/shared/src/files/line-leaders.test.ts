import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DirectoryStore } from "./directory-store.ts";
import { countCopies, NO_LEADER, readLeaders, removeLeaders, writeLeaders } from "./line-leaders.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-leaders-"));
});
afterAll(() => rm(folder, { recursive: true }));

const batch = { tenant: "Acme & Co", id: "batch_1" };

test("who copies whom is found again, until it is removed", async () => {
  const files = new DirectoryStore(folder);
  expect(await readLeaders(files, batch)).toBeNull();
  // More than one slice.
  const leaders = new Int32Array(300_000).fill(NO_LEADER);
  leaders[2] = 0;
  leaders[299_999] = 0;
  await writeLeaders(files, batch, leaders, new AbortController().signal);
  expect(await readLeaders(files, batch)).toEqual(leaders);
  expect(countCopies(leaders)[0]).toBe(2);
  expect(countCopies(leaders)[2]).toBe(0);
  await removeLeaders(files, batch);
  await removeLeaders(files, batch);
  expect(await readLeaders(files, batch)).toBeNull();
});
