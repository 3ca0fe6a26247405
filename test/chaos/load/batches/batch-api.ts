import { setTimeout as sleep } from "node:timers/promises";
import { type Client, jsonBody, tryOnce } from "../client.ts";

/** What a batch says of itself. */
export interface BatchFigures {
  id: string;
  status: string;
  output_file_id: string | null;
  error_file_id: string | null;
  request_counts: { total: number; completed: number; failed: number };
  usage: { input_tokens: number; output_tokens: number; output_tokens_details: { reasoning_tokens: number } };
}

const LOOK_INTERVAL_MS = 500;
const OVER = new Set(["completed", "failed", "expired", "cancelled"]);

/** An upload without a reply promised nothing: the next one is another file. */
export async function uploadInput(client: Client, text: string): Promise<string> {
  const { id } = await ask(client, "/v1/files", () => {
    const form = new FormData();
    form.set("purpose", "batch");
    form.set("file", new Blob([text], { type: "application/jsonl" }), "lines.jsonl");
    return { method: "POST", body: form };
  });
  return id;
}

/** Under one key, however often it has to be asked. */
export async function postOnce(client: Client, path: string, body: object, key: string): Promise<string> {
  const { id } = await ask(client, path, () => {
    const init = jsonBody(body);
    return { ...init, headers: { ...init.headers, "idempotency-key": key } };
  });
  return id;
}

/** What may be said twice. */
export async function tellBatch(
  client: Client,
  batchId: string,
  what: "cancel" | "pause" | "resume",
): Promise<void> {
  await ask(client, `/v1/batches/${batchId}/${what}`, () => jsonBody({}));
}

/** Until a gateway has said yes. */
async function ask(client: Client, path: string, init: () => RequestInit): Promise<{ id: string }> {
  for (;;) {
    const reply = await tryOnce(client, path, init());
    const text = (await reply?.text().catch(() => null)) ?? null;
    if (reply === null || text === null) continue;
    if (reply.status === 200) return JSON.parse(text) as { id: string };
    // An earlier request under the same key is still being accepted.
    if (reply.status !== 409) client.violation("unexpected reply", { to: path, status: reply.status, text });
    await sleep(LOOK_INTERVAL_MS);
  }
}

/** Until it is over, or so many of its lines have ended. Counts never fall, and what is over stays so. */
export async function watchBatch(
  client: Client,
  batchId: string,
  endedLines: number = Number.POSITIVE_INFINITY,
): Promise<BatchFigures> {
  let before: BatchFigures | null = null;
  for (;;) {
    const reply = await tryOnce(client, `/v1/batches/${batchId}`);
    const text = (await reply?.text().catch(() => null)) ?? null;
    if (reply === null || text === null) continue;
    if (reply.status !== 200) {
      client.violation("unexpected reply", { to: "get batch", batch: batchId, status: reply.status, text });
      await sleep(LOOK_INTERVAL_MS);
      continue;
    }
    const now = JSON.parse(text) as BatchFigures;
    if (before !== null && fell(before, now)) client.violation("a batch's counts fell", { before, now });
    before = now;
    const { completed, failed } = now.request_counts;
    if (OVER.has(now.status) || completed + failed >= endedLines) return now;
    await sleep(LOOK_INTERVAL_MS);
  }
}

function fell({ request_counts: before }: BatchFigures, { request_counts: now }: BatchFigures): boolean {
  return now.completed < before.completed || now.failed < before.failed || now.total < before.total;
}

/** The lines of a file; null: there is none. */
export async function downloadLines(client: Client, fileId: string | null): Promise<string[]> {
  if (fileId === null) return [];
  for (;;) {
    const reply = await tryOnce(client, `/v1/files/${fileId}/content`);
    // A gateway that dies half-way breaks the body off.
    const text = (await reply?.text().catch(() => null)) ?? null;
    if (reply === null || text === null) continue;
    if (reply.status === 200) return text.split("\n").filter((line) => line !== "");
    client.violation("unexpected reply", { to: "download", file: fileId, status: reply.status, text });
    await sleep(LOOK_INTERVAL_MS);
  }
}
