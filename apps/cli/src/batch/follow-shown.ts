import type { Server } from "../server/call.ts";
import type { Batch } from "./batch-object.ts";
import { showBatch } from "./batch-progress.ts";
import { followBatch } from "./follow-batch.ts";

/** Follows a batch to its end, for somebody who watches. */
export async function followShown(server: Server, id: string, signal: AbortSignal): Promise<Batch> {
  using shown = showBatch(process.stdout);
  const batch = await followBatch(server, id, { signal, onProgress: shown.report, onAway: shown.away });
  shown.report(batch);
  return batch;
}
