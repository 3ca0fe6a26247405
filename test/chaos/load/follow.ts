import type { LedgerEntry } from "../ledger.ts";
import { type Client, tryOnce } from "./client.ts";
import { blocksOf, untilCut } from "./cut-stream.ts";

/** Bytes of a stream until its client loses it: from its first event to a good part of a long answer. */
const CUT_AFTER_BYTES = { least: 1, most: 12_000 };
const MAX_CUTS = 8;

/** Reads a job's events to their end, over connections that are cut anywhere and taken up again at any gateway. */
export async function follow(client: Client, entry: LedgerEntry): Promise<void> {
  const { ledger, random, violation } = client;
  for (let cuts = 0; ; ) {
    const lastId = entry.events.at(-1)?.id;
    const headers = lastId === undefined ? {} : { "last-event-id": lastId };
    const reply = await tryOnce(client, `/v1/jobs/${entry.jobId}/events`, { headers });
    if (reply === null) continue;
    if (reply.status === 204 && entry.events.at(-1)?.event === "end") return;
    if (reply.status !== 200) {
      violation("unexpected reply", { to: "events", job: entry.jobId, status: reply.status, lastId });
      return;
    }
    const isCut = cuts < MAX_CUTS && random.chance(70);
    const cutAfterBytes = isCut ? random.between(CUT_AFTER_BYTES.least, CUT_AFTER_BYTES.most) : null;
    if (isCut) cuts += 1;
    try {
      for await (const fields of blocksOf(untilCut(reply, cutAfterBytes))) {
        const event = fields.get("event") ?? "";
        ledger.event(entry, { id: fields.get("id") ?? "", event, data: fields.get("data") ?? "" });
        if (event !== "end") continue;
        ledger.terminal(entry, (JSON.parse(fields.get("data") ?? "{}") as { status: string }).status);
        return;
      }
    } catch {
      // The gateway died, or its connection was cut: once more.
    }
    entry.reconnects += 1;
  }
}
