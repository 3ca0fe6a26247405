import { fileKey } from "@quern/shared/files/file-key";
import type { FileStore } from "@quern/shared/files/file-store";
import { readLines } from "@quern/shared/files/read-lines";
import type { LinePosition } from "@quern/shared/redis/line-states";
import { z } from "zod";

/** What is read of an input at one time: so much is in memory, and within it lines are ordered. */
export interface BlockBounds {
  lines: number;
  bytes: number;
}

/** How far an input has been fed: where the next block begins. */
export const feedCursorSchema = z.object({
  /** In bytes. */
  offset: z.int().nonnegative(),
  /** Of the first line from there on. */
  index: z.int().nonnegative(),
  /** How many blocks were before it. */
  blocks: z.int().nonnegative(),
});
export type FeedCursor = z.infer<typeof feedCursorSchema>;

export const INPUT_BEGIN: FeedCursor = { offset: 0, index: 0, blocks: 0 };

export interface InputLineText extends LinePosition {
  /** null: it is not what its batch was validated with. */
  text: string | null;
}

export interface InputBlock {
  lines: InputLineText[];
  /** Behind it. */
  next: FeedCursor;
  /** The input ends with it. */
  isLast: boolean;
}

/** Longer than any line that a batch is validated with. */
const MAX_LINE_BYTES = 512 * 2 ** 20;

interface InputOf {
  tenant: string;
  inputFileId: string;
}

/** At least one line, however long it is, unless the input has ended. @throws QuernError of the store. */
export async function readBlock(
  files: FileStore,
  input: InputOf,
  from: FeedCursor,
  bounds: BlockBounds,
): Promise<InputBlock> {
  const lines: InputLineText[] = [];
  let bytes = 0;
  let next: FeedCursor = { ...from, blocks: from.blocks + 1 };
  for await (const line of linesFrom(files, input, from.offset)) {
    if (lines.length > 0 && (lines.length >= bounds.lines || bytes + line.bytes > bounds.bytes)) {
      return { lines, next, isLast: false };
    }
    lines.push({ ...line, index: from.index + lines.length });
    bytes += line.bytes;
    next = { ...next, offset: line.offset + line.bytes, index: from.index + lines.length };
  }
  return { lines, next, isLast: true };
}

/** One line again that is known by its place. @throws QuernError of the store. */
export async function readLineAt(
  files: FileStore,
  input: InputOf,
  position: LinePosition,
): Promise<InputLineText> {
  const { offset, bytes } = position;
  for await (const { text } of linesFrom(files, input, offset, offset + bytes)) return { ...position, text };
  return { ...position, text: null };
}

async function* linesFrom(files: FileStore, { tenant, inputFileId }: InputOf, start: number, end?: number) {
  const source = files.read(
    fileKey({ tenant, id: inputFileId }),
    end === undefined ? { start } : { start, end },
  );
  // Numbers of lines are nobody's business here.
  const from = { number: 1, offset: start };
  for await (const line of readLines(source, { maxLineBytes: MAX_LINE_BYTES, from })) {
    const { offset, bytes } = line;
    yield { offset, bytes, text: "line" in line ? line.line : null };
  }
}
