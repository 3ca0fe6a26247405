import type { BatchRecord } from "@quern/shared/contract/batch";
import { fileKey } from "@quern/shared/files/file-key";
import { removeLeaders } from "@quern/shared/files/line-leaders";
import { retireBatch } from "@quern/shared/redis/batch-store";
import { batchWebhookBody } from "../../webhooks/batch-webhook-body.ts";
import type { Keeping } from "./keeping.ts";
import { outputFileIds } from "./output-file-ids.ts";

/** What follows a batch's end, in an order that can be broken off anywhere and begun anew: its webhook is queued, and what only its run needed goes. */
export async function concludeBatch(keeping: Keeping, record: BatchRecord): Promise<void> {
  const { redis, files, deliveries, recordSeconds, events } = keeping;
  const { id, tenant, webhook } = record;
  if (webhook?.status === "pending" && webhook.attempts === 0) {
    await deliveries.add(id, batchWebhookBody(record), webhook);
  }
  const { outputFileId, errorFileId } = outputFileIds(id);
  await files.removeSegments(fileKey({ tenant, id: outputFileId }));
  await files.removeSegments(fileKey({ tenant, id: errorFileId }));
  await removeLeaders(files, record);
  await retireBatch(redis, id, recordSeconds);
  events.batchEnded(record);
}
