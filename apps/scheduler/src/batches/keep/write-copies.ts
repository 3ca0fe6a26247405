import type { BatchRecord } from "@quern/shared/contract/batch";
import { parseBatchLine } from "@quern/shared/contract/batch-line";
import { NO_LEADER, readLeaders } from "@quern/shared/files/line-leaders";
import type { CollectedFiles } from "./collected-files.ts";
import { toCopiedLine } from "./copied-line.ts";
import { inputLines } from "./input-lines.ts";
import type { Keeping } from "./keeping.ts";
import { LeaderLines } from "./leader-lines.ts";
import type { OutputLine } from "./output-line.ts";

/** Of copies that are written together. */
const CHUNK_CHARACTERS = 2 * 2 ** 20;

/**
 * Writes the lines of copies, when those of their leaders stand in the files: in the order of the input, from behind those
 * that are written already.
 * @throws QuernError `file_missing` when the input is gone; KeepingLost.
 */
export async function writeCopies(
  keeping: Keeping,
  record: BatchRecord,
  files: CollectedFiles,
): Promise<void> {
  const leaders = await readLeaders(keeping.files, record);
  if (leaders === null) return;
  const { copiesThrough } = files.kept;
  const leaderLines = new LeaderLines(keeping, record.tenant, files.kept, leaders.length);
  await leaderLines.find();
  let [index, chunk, characters]: [number, OutputLine[], number] = [-1, [], 0];
  const writeChunk = async () => {
    keeping.signal.throwIfAborted();
    if (chunk.length > 0) await files.append(chunk, { copiesThrough: index });
    [chunk, characters] = [[], 0];
  };
  for await (const fileLine of inputLines(keeping, record)) {
    index += 1;
    const leader = leaders[index] ?? NO_LEADER;
    if (leader === NO_LEADER || index <= copiesThrough || !("line" in fileLine)) continue;
    const [read, said] = [parseBatchLine(fileLine.line), await leaderLines.read(leader)];
    if ("fault" in read || said === null) continue;
    const copy = { batchId: record.id, index, customId: read.line.custom_id };
    const text = toCopiedLine(said.text, copy);
    chunk.push({ file: said.file, text });
    characters += text.length;
    if (characters >= CHUNK_CHARACTERS) await writeChunk();
  }
  await writeChunk();
}
