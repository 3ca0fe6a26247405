import { createReadStream, existsSync } from "node:fs";
import { readLines } from "@quern/shared/files/read-lines";
import { z } from "zod";

/** Far above what a context holds; the vectors of a long list of texts are the longest. */
const MAX_LINE_BYTES = 256 * 2 ** 20;

/** A line of a batch's output or error file, as far as it is read here. */
const resultLineSchema = z.looseObject({
  custom_id: z.string(),
  response: z.looseObject({ status_code: z.int(), body: z.unknown().optional() }).nullish(),
  error: z.unknown().optional(),
});
export type ResultLine = z.infer<typeof resultLineSchema>;

export interface PlacedLine {
  result: ResultLine;
  /** As it stands in the file, without its break. */
  text: string;
  offset: number;
  bytes: number;
}

/** The lines of such a file; of one that is not there, none. What is none of them (a line that a crash cut off) is passed over. */
export async function* readResultLines(path: string): AsyncGenerator<PlacedLine, void, undefined> {
  if (!existsSync(path)) return;
  for await (const read of readLines(createReadStream(path), { maxLineBytes: MAX_LINE_BYTES })) {
    if (!("line" in read)) continue;
    const result = parseResultLine(read.line);
    if (result !== null) yield { result, text: read.line, offset: read.offset, bytes: read.bytes };
  }
}

export function parseResultLine(text: string): ResultLine | null {
  try {
    return resultLineSchema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

export function isAnswer({ response, error }: ResultLine): boolean {
  return (error ?? null) === null && response?.status_code === 200;
}
