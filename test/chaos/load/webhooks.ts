import { answering, startWebhookSink, type WebhookSink } from "@quern/testing/webhook-sink";

export const WEBHOOK_SECRET = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
/** Seconds before each attempt: a run is over in minutes. */
export const WEBHOOK_RETRY_SECONDS = "0,1,1,2,2,4,4,8,8,8,8,8,8,8,8";

/** Every third delivery is refused, and has to come again. */
export function isDelivered(number: number): boolean {
  return number % 3 !== 0;
}

export function startRefusingSink(): Promise<WebhookSink> {
  return startWebhookSink(answering((number) => (isDelivered(number) ? 200 : 500)));
}
