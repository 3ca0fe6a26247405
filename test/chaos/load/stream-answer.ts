import { setTimeout as sleep } from "node:timers/promises";
import type { Ask } from "../ask.ts";
import type { LedgerEntry } from "../ledger.ts";
import { type Client, jsonBody, tryOnce, waitForEnd } from "./client.ts";
import { blocksOf, untilCut } from "./cut-stream.ts";

/**
 * Asks an OpenAI endpoint for a stream, and reads it. Accepted with its first byte, the job ends whatever becomes of the
 * stream; one that hangs up cancels it.
 */
export async function streamAnswer(
  client: Client,
  ask: Ask,
  intent: "stream" | "hang up",
): Promise<LedgerEntry> {
  const { ledger, random } = client;
  const body = { ...ask.body, stream: true, stream_options: { include_usage: true } };
  const { reply, jobId } = await untilStreaming(client, ask, body);
  const entry = ledger.accepted(jobId, ask, intent);
  const cutAfterBytes = intent === "hang up" ? random.between(1, 6_000) : null;
  entry.streamEnd = "cut";
  try {
    for await (const fields of blocksOf(untilCut(reply, cutAfterBytes))) {
      const data = fields.get("data") ?? "";
      if (data === "[DONE]") {
        if (entry.streamEnd === "cut") entry.streamEnd = "done";
        break;
      }
      if (data.startsWith('{"error"')) entry.streamEnd = "error";
      ledger.chunk(entry, data);
    }
  } catch {
    // The gateway died: the job goes on without it.
  }
  await waitForEnd(client, entry);
  return entry;
}

async function untilStreaming(
  client: Client,
  ask: Ask,
  body: object,
): Promise<{ reply: Response; jobId: string }> {
  for (;;) {
    const reply = await tryOnce(client, ask.endpoint, jsonBody(body));
    if (reply === null) {
      client.ledger.refused += 1;
      continue;
    }
    const jobId = reply.headers.get("x-quern-job-id");
    if (reply.status === 200 && jobId !== null) return { reply, jobId };
    const text = await reply.text().catch(() => "");
    client.violation("unexpected reply", { to: ask.endpoint, status: reply.status, text });
    await sleep(100);
  }
}
