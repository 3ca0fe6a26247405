import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { DirectoryStore } from "@quern/shared/files/directory-store";
import { fileKey } from "@quern/shared/files/file-key";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type FeedCursor, INPUT_BEGIN, type InputBlock, readBlock, readLineAt } from "./input-block.ts";

let folder: string;
let files: DirectoryStore;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-blocks-"));
  files = new DirectoryStore(folder);
});
afterAll(() => rm(folder, { recursive: true }));

async function inputOf(content: string) {
  const input = { tenant: "acme", inputFileId: `file-${Math.random().toString(36).slice(2)}` };
  const key = fileKey({ tenant: "acme", id: input.inputFileId });
  await files.write(key, Readable.from([Buffer.from(content)]), new AbortController().signal);
  return input;
}

async function blocksOf(content: string, bounds: { lines: number; bytes: number }): Promise<InputBlock[]> {
  const input = await inputOf(content);
  const blocks: InputBlock[] = [];
  let cursor: FeedCursor = INPUT_BEGIN;
  do {
    blocks.push(await readBlock(files, input, cursor, bounds));
    cursor = blocks.at(-1)?.next as FeedCursor;
  } while (!blocks.at(-1)?.isLast);
  return blocks;
}

test("block by block every line is met once, at its place, whatever is between lines", async () => {
  const content = "\ufeffaa\r\n\r\nböö\n \n\ncccc\nd\n\n";
  const blocks = await blocksOf(content, { lines: 2, bytes: 100 });
  expect(blocks.map(({ lines }) => lines.map(({ text }) => text))).toEqual([
    ["aa", "böö"],
    ["cccc", "d"],
  ]);
  const lines = blocks.flatMap((block) => block.lines);
  expect(lines.map(({ index }) => index)).toEqual([0, 1, 2, 3]);
  const bytes = Buffer.from(content);
  for (const line of lines) {
    expect(bytes.subarray(line.offset, line.offset + line.bytes).toString()).toBe(line.text);
  }
  expect(blocks.map(({ next }) => next.blocks)).toEqual([1, 2]);
});

test("a block has no more bytes than told, but for a line that is longer", async () => {
  const blocks = await blocksOf("12345\n12345\n123456789012\n1\n1", { lines: 100, bytes: 10 });
  expect(blocks.map(({ lines }) => lines.length)).toEqual([2, 1, 2]);
});

test("an input without a line is one block without", async () => {
  expect(await blocksOf("\n\n", { lines: 2, bytes: 10 })).toEqual([
    { lines: [], next: { offset: 0, index: 0, blocks: 1 }, isLast: true },
  ]);
});

test("a line is read again by its place", async () => {
  const input = await inputOf("one\ntwo\r\nthree");
  const line = { index: 1, offset: 4, bytes: 3 };
  expect(await readLineAt(files, input, line)).toEqual({ ...line, text: "two" });
});

test("an input that is gone is told of", async () => {
  const reading = readBlock(files, { tenant: "acme", inputFileId: "file-none" }, INPUT_BEGIN, {
    lines: 1,
    bytes: 1,
  });
  await expect(reading).rejects.toMatchObject({ code: "file_missing" });
});
