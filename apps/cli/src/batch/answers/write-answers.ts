import { createWriteStream } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import type { AnsweredRow } from "./answered-rows.ts";

export const ANSWER_COLUMN = "answer";

/** A table of the rows' columns and their answers (RFC 4180, with LF); the target changes whole or not at all. */
export async function writeCsv(
  rows: AsyncIterable<AnsweredRow>,
  columns: readonly string[],
  target: string,
  signal: AbortSignal,
): Promise<void> {
  async function* lines() {
    yield csvLine([...columns, ANSWER_COLUMN]);
    for await (const { columns: cells, answer } of rows) {
      yield csvLine([...columns.map((column) => cells[column] ?? ""), answer ?? ""]);
    }
  }
  await writeWhole(lines, target, signal);
}

/** The n-th line is the answer to the n-th row: line breaks inside of it become spaces, and one that is missing an empty line. */
export async function writeText(
  rows: AsyncIterable<AnsweredRow>,
  target: string,
  signal: AbortSignal,
): Promise<void> {
  async function* lines() {
    for await (const { answer } of rows) yield `${(answer ?? "").trim().replaceAll(/\s*[\r\n]\s*/g, " ")}\n`;
  }
  await writeWhole(lines, target, signal);
}

function csvLine(cells: readonly string[]): string {
  return `${cells.map((cell) => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell)).join(",")}\n`;
}

async function writeWhole(
  lines: () => AsyncIterable<string>,
  target: string,
  signal: AbortSignal,
): Promise<void> {
  const part = `${target}.part`;
  try {
    await pipeline(lines, createWriteStream(part, { flush: true }), { signal });
    await rename(part, target);
  } finally {
    await rm(part, { force: true });
  }
}
