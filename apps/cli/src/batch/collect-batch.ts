import { rm } from "node:fs/promises";
import type { Server } from "../server/call.ts";
import { downloadFile } from "../server/download-file.ts";
import { isNotFound } from "../server/server-faults.ts";
import { AnswerIndex } from "./answers/answer-index.ts";
import { mergeResults } from "./answers/merge-results.ts";
import { isAnswer } from "./answers/result-line.ts";
import type { Batch } from "./batch-object.ts";
import type { RunFiles } from "./run-files.ts";

/**
 * Brings what a batch that is over came to into the run's files: answers to those that earlier batches brought, and in place of
 * earlier errors its own. Doing it again changes nothing.
 * @returns where the answers stand now. Files that the server does not have any more bring nothing.
 */
export async function collectBatch(
  server: Server,
  batch: Pick<Batch, "output_file_id" | "error_file_id">,
  { files, ids }: { files: RunFiles; ids: ReadonlyMap<string, number> },
  signal: AbortSignal,
): Promise<AnswerIndex> {
  try {
    await download(server, batch.output_file_id ?? null, files, signal);
    const sources = [files.answers, files.download];
    const isWanted = (_: number, result: Parameters<typeof isAnswer>[0]) => isAnswer(result);
    await mergeResults({ target: files.answers, sources, ids, isWanted, signal });
    const answers = await AnswerIndex.of(files.answers, ids);

    await download(server, batch.error_file_id ?? null, files, signal);
    await mergeResults({
      target: files.errors,
      sources: [files.download, files.errors],
      ids,
      isWanted: (index) => !answers.has(index),
      signal,
    });
    return answers;
  } finally {
    await rm(files.download, { force: true });
  }
}

async function download(
  server: Server,
  fileId: string | null,
  { download: path }: RunFiles,
  signal: AbortSignal,
): Promise<void> {
  await rm(path, { force: true });
  if (fileId === null) return;
  await downloadFile(server, fileId, path, signal).catch((error: unknown) => {
    if (!isNotFound(error)) throw error;
  });
}
