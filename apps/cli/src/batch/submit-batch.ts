import { rm } from "node:fs/promises";
import { QuernError } from "@quern/shared/contract/errors";
import type { Endpoint } from "@quern/shared/contract/job";
import { callForJson, PATIENCE_MS, type Server } from "../server/call.ts";
import { KEPT_SECONDS, uploadFile } from "../server/upload-file.ts";
import { type Batch, batchSchema } from "./batch-object.ts";
import type { InputSource } from "./input/input-lines.ts";
import { type BatchBounds, writeRequests } from "./input/write-requests.ts";
import type { RunFiles } from "./run-files.ts";
import { type BatchState, type RunState, writeRunState } from "./run-state.ts";

export interface Submission {
  source: InputSource;
  endpoint: Endpoint;
  /** The first request that may be wanted, and what is wanted from there on. */
  from: number;
  isWanted: (index: number) => boolean;
  bounds: BatchBounds;
  dedupe: boolean;
  /** As the state remembers the server; null: a private one. */
  url: string | null;
}

/**
 * Uploads the wanted requests, as many as go into one batch, and makes a batch of them, and notes it in the run's state. A run that is killed in between submits the same
 * batch again, not a second one.
 */
export async function submitBatch(
  server: Server,
  submission: Submission,
  { files, state }: { files: RunFiles; state: RunState },
  signal: AbortSignal,
): Promise<{ batch: Batch; noted: BatchState }> {
  const { source, endpoint, from, isWanted, bounds, dedupe, url } = submission;
  if (state.submission === null || state.submission.url !== url) {
    try {
      const { count, next } = await writeRequests(source, isWanted, bounds, files.upload, signal);
      const inputFileId = await uploadFile(server, files.upload, signal);
      state.submission = { key: crypto.randomUUID(), inputFileId, url, from, next, requests: count };
    } finally {
      await rm(files.upload, { force: true });
    }
    await writeRunState(files.state, state);
  }
  const { key, inputFileId, ...part } = state.submission;
  const json = {
    input_file_id: inputFileId,
    endpoint,
    completion_window: "24h",
    output_expires_after: { anchor: "created_at", seconds: KEPT_SECONDS },
    ...(dedupe ? { dedupe } : {}),
  };
  const headers = { "idempotency-key": key };
  const call = { json, headers, signal, patienceMs: PATIENCE_MS };
  const batch = await callForJson(server, "/v1/batches", batchSchema, call).catch(async (error: unknown) => {
    // What is refused stays refused; who did not answer may have accepted it.
    if (error instanceof QuernError && !error.retryable) await forget({ files, state });
    throw error;
  });
  const noted = { id: batch.id, collected: false, ...part };
  state.batches.push(noted);
  state.submission = null;
  await writeRunState(files.state, state);
  return { batch, noted };
}

async function forget({ files, state }: { files: RunFiles; state: RunState }): Promise<void> {
  state.submission = null;
  if (state.batches.length === 0) await rm(files.state, { force: true });
  else await writeRunState(files.state, state);
}
