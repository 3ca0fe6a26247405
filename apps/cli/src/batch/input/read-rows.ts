import { createReadStream } from "node:fs";
import { extname } from "node:path";
import { pipeline, Readable } from "node:stream";
import { QuernError } from "@quern/shared/contract/errors";
import { readLines } from "@quern/shared/files/read-lines";
import { CsvError, parse } from "csv-parse";

export const INPUT_FORMATS = ["jsonl", "csv", "tsv", "text"] as const;
export type InputFormat = (typeof INPUT_FORMATS)[number];

/** One row of the input file, before it is known what is asked of it. */
export interface Row {
  /** Of the line in a text or JSONL file as editors count, blank ones too; of the row in a table, from 1 below its headings. */
  number: number;
  /** For people: `line 7`, `row 7`. */
  where: string;
  /** By column, in the file's order; what was no text is JSON. */
  columns: Record<string, string>;
  /** Of a JSONL file: the line, as it stands and read. */
  json: { text: string; value: Record<string, unknown> } | null;
}

/** The column that a plain text's lines are. */
export const TEXT_COLUMN = "line";

/** What no gateway would take. */
const MAX_LINE_BYTES = 64 * 2 ** 20;

const FORMAT_OF_EXTENSION: Record<string, InputFormat> = {
  ".jsonl": "jsonl",
  ".ndjson": "jsonl",
  ".csv": "csv",
  ".tsv": "tsv",
  ".txt": "text",
};

/** @throws QuernError `config_invalid` where the name does not tell. */
export function formatOf(path: string): InputFormat {
  const format = FORMAT_OF_EXTENSION[extname(path).toLowerCase()];
  if (format !== undefined) return format;
  throw new QuernError(
    "config_invalid",
    `the name of ${path} does not tell what it is: say --from ${INPUT_FORMATS.join("|")}`,
  );
}

/**
 * The rows of a file as they are read, one at a time.
 * @throws QuernError `invalid_request` with the place of what can't be read; `config_invalid` when there is no such file.
 */
export async function* readRows(path: string, format: InputFormat): AsyncGenerator<Row, void, undefined> {
  try {
    switch (format) {
      case "jsonl":
        for await (const { number, text } of textLines(path)) yield jsonRow(path, number, text);
        return;
      case "text":
        for await (const { number, text } of textLines(path)) {
          yield { number, where: `line ${number}`, columns: { [TEXT_COLUMN]: text }, json: null };
        }
        return;
      case "csv":
      case "tsv":
        yield* tableRows(path, format === "csv" ? "," : "\t");
    }
  } catch (error) {
    if (error instanceof CsvError) throw fault(path, error.message, error);
    const { code, message } = error as NodeJS.ErrnoException;
    if (["ENOENT", "EACCES", "EISDIR"].includes(code ?? "")) {
      throw new QuernError("config_invalid", `the input can't be read: ${message}`, { cause: error });
    }
    throw error;
  }
}

async function* textLines(path: string) {
  for await (const read of readLines(createReadStream(path), { maxLineBytes: MAX_LINE_BYTES })) {
    const { number } = read;
    if ("line" in read) yield { number, text: read.line };
    else if ("tooLong" in read) throw fault(path, `line ${number} is longer than 64 MiB`);
    else throw fault(path, `line ${number} is not UTF-8: save the file in that encoding`);
  }
}

function jsonRow(path: string, number: number, text: string): Row {
  const where = `line ${number}`;
  const value = jsonOrNull(text);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw fault(path, `${where} is no JSON object`);
  }
  const columns = Object.fromEntries(
    Object.entries(value).map(([name, cell]) => [
      name,
      typeof cell === "string" ? cell : cell === null ? "" : JSON.stringify(cell),
    ]),
  );
  return { number, where, columns, json: { text, value: value as Record<string, unknown> } };
}

function jsonOrNull(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

async function* tableRows(path: string, delimiter: string): AsyncGenerator<Row, void, undefined> {
  const parser = parse({ delimiter, columns: (header) => headings(path, header), skip_empty_lines: true });
  // Its errors come out of the parser, which is what is read here.
  pipeline(Readable.from(decoded(path)), parser, () => {});
  let number = 0;
  for await (const columns of parser as AsyncIterable<Record<string, string>>) {
    number += 1;
    yield { number, where: `row ${number}`, columns, json: null };
  }
}

function headings(path: string, header: readonly string[]): string[] {
  const names = header.map((name) => name.trim());
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw fault(path, `the column '${twice}' is there twice: rename one`);
  return names;
}

/** The byte order mark is passed over. */
async function* decoded(path: string): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  try {
    for await (const chunk of createReadStream(path)) yield decoder.decode(chunk, { stream: true });
    yield decoder.decode();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ERR_ENCODING_INVALID_ENCODED_DATA") throw error;
    throw fault(path, "it is not UTF-8: save it in that encoding", error);
  }
}

function fault(path: string, what: string, cause?: unknown): QuernError {
  return new QuernError("invalid_request", `${path}: ${what}`, cause === undefined ? {} : { cause });
}
