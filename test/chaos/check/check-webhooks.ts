import { setTimeout as sleep } from "node:timers/promises";
import type { ReceivedDelivery, WebhookSink } from "@quern/testing/webhook-sink";
import { Webhook } from "standardwebhooks";
import type { Ledger } from "../ledger.ts";
import { isDelivered, WEBHOOK_SECRET } from "../load/webhooks.ts";

const LOOK_INTERVAL_MS = 200;
/** A delivery that was held by a scheduler that died lapses, and waits for its next attempt. */
const SETTLE_MS = 60_000;

/** Every job whose submitter asked for it was told of, as one thing, signed, and as it ended. One line for each fault. */
export async function checkWebhooks(sink: WebhookSink, ledger: Ledger): Promise<string[]> {
  const hooked = [...ledger.entries.values()].filter(({ isHooked }) => isHooked);
  const giveUpAtMs = performance.now() + SETTLE_MS;
  for (;;) {
    const told = deliveriesByJob(sink);
    const missing = hooked.filter(({ jobId }) => !told.get(jobId)?.some(({ at }) => isDelivered(at)));
    if (missing.length === 0 || performance.now() > giveUpAtMs) {
      return [
        ...missing.map(({ jobId }) => `${jobId}: its end was never told`),
        ...hooked.flatMap(({ jobId, terminalStates }) =>
          faultsOf(jobId, terminalStates.at(-1), told.get(jobId) ?? []),
        ),
      ];
    }
    await sleep(LOOK_INTERVAL_MS);
  }
}

interface Delivery extends ReceivedDelivery {
  /** Its place among all that came in, from 1. */
  at: number;
}

function deliveriesByJob({ received }: WebhookSink): Map<string, Delivery[]> {
  const numbered = received.map((delivery, index) => ({ ...delivery, at: index + 1 }));
  return Map.groupBy(numbered, ({ body }) => (JSON.parse(body) as { data: { id: string } }).data.id);
}

function faultsOf(jobId: string, state: string | undefined, deliveries: Delivery[]): string[] {
  const faults: string[] = [];
  if (new Set(deliveries.map(({ headers }) => headers["webhook-id"])).size > 1) {
    faults.push(`${jobId}: it was told of as of several things`);
  }
  for (const { headers, body } of deliveries) {
    const { type } = JSON.parse(body) as { type: string };
    if (state !== undefined && type !== `job.${state}`)
      faults.push(`${jobId}: told as ${type}, but it is ${state}`);
    if (!isSigned(headers, body)) faults.push(`${jobId}: a delivery without its signature`);
  }
  return faults;
}

/** By the sender's own clock, which is minutes off here. */
function isSigned(headers: ReceivedDelivery["headers"], body: string): boolean {
  const sentAt = new Date(Number(headers["webhook-timestamp"]) * 1_000);
  const signature = new Webhook(WEBHOOK_SECRET).sign(String(headers["webhook-id"]), sentAt, body);
  return headers["webhook-signature"] === signature;
}
