import { expect, test } from "vitest";
import { type FileLine, readLines } from "./read-lines.ts";

/** The lines of `content`, whatever its chunks: all sizes from single bytes to all at once give the same. */
async function linesOf(content: Buffer | string, maxLineBytes = 1_000): Promise<FileLine[]> {
  const bytes = Buffer.from(content);
  const results = await Promise.all(
    [1, 2, 3, 7, bytes.length + 1].map(
      async (size) => await Array.fromAsync(readLines(inChunks(bytes, size), { maxLineBytes })),
    ),
  );
  for (const result of results) expect(result).toEqual(results[0]);
  return results[0] ?? [];
}

async function* inChunks(bytes: Buffer, size: number) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

test("LF, CRLF, and a last line without a break", async () => {
  expect(await linesOf("one\ntwo\r\nthree")).toEqual([
    { number: 1, offset: 0, bytes: 3, line: "one" },
    { number: 2, offset: 4, bytes: 3, line: "two" },
    { number: 3, offset: 9, bytes: 5, line: "three" },
  ]);
  expect(await linesOf("one\n")).toHaveLength(1);
  expect(await linesOf("")).toEqual([]);
});

test("a CR within a line is a part of it", async () => {
  expect(await linesOf("a\rb\r\r\n")).toEqual([{ number: 1, offset: 0, bytes: 4, line: "a\rb\r" }]);
});

test("blank lines are skipped and counted", async () => {
  expect(await linesOf("\n \t\r\n\r\na\n\n  \n")).toEqual([{ number: 4, offset: 7, bytes: 1, line: "a" }]);
});

test("a byte order mark is no part of the first line", async () => {
  expect(await linesOf("\ufeff{}\n\ufeff")).toEqual([
    { number: 1, offset: 3, bytes: 2, line: "{}" },
    { number: 2, offset: 6, bytes: 3, line: "\ufeff" },
  ]);
  expect(await linesOf("\ufeff")).toEqual([]);
  // The beginning of a mark that never comes.
  expect(await linesOf(Buffer.from([0xef, 0xbb]))).toEqual([
    { number: 1, offset: 0, bytes: 2, notUtf8: true },
  ]);
});

test("a line of just the limit is read, a longer one passed over", async () => {
  expect(await linesOf("12345\r\n123456\n1234567890\r\nab", 5)).toEqual([
    { number: 1, offset: 0, bytes: 5, line: "12345" },
    { number: 2, offset: 7, bytes: 6, tooLong: true },
    { number: 3, offset: 14, bytes: 10, tooLong: true },
    { number: 4, offset: 26, bytes: 2, line: "ab" },
  ]);
});

test("what is not UTF-8 is told, and what is keeps its characters", async () => {
  const content = Buffer.concat([
    Buffer.from("größe 🌾\n"),
    Buffer.from([0x61, 0xff, 0x0a]),
    Buffer.from("b"),
  ]);
  expect(await linesOf(content)).toEqual([
    { number: 1, offset: 0, bytes: 12, line: "größe 🌾" },
    { number: 2, offset: 13, bytes: 2, notUtf8: true },
    { number: 3, offset: 16, bytes: 1, line: "b" },
  ]);
});

test("goes on from a line in the middle", async () => {
  const rest = inChunks(Buffer.from("\ufeffc\nd"), 2);
  const lines = await Array.fromAsync(
    readLines(rest, { maxLineBytes: 10, from: { number: 3, offset: 100 } }),
  );
  expect(lines).toEqual([
    { number: 3, offset: 100, bytes: 4, line: "\ufeffc" },
    { number: 4, offset: 105, bytes: 1, line: "d" },
  ]);
});

test("a line of 1 GB takes no memory", async () => {
  const chunk = Buffer.alloc(2 ** 20, "x");
  const before = process.memoryUsage().rss;
  let peak = 0;
  const endless = (async function* () {
    for (let sent = 0; sent < 1_024; sent += 1) {
      peak = Math.max(peak, process.memoryUsage().rss);
      yield chunk;
    }
    yield Buffer.from("\nok");
  })();
  const lines = await Array.fromAsync(readLines(endless, { maxLineBytes: 4 * 2 ** 20 }));
  expect(lines).toEqual([
    { number: 1, offset: 0, bytes: 2 ** 30, tooLong: true },
    { number: 2, offset: 2 ** 30 + 1, bytes: 2, line: "ok" },
  ]);
  expect(peak - before).toBeLessThan(100 * 2 ** 20);
});
