import type { WebhookState } from "../contract/webhook.ts";

/** Where an end is told, and how far that is, as the API shows it. */
export interface WebhookObject {
  url: string;
  status: WebhookState["status"];
  attempts: number;
  last_status_code: number | null;
  last_error: string | null;
}

export function toWebhookObject(webhook: WebhookState | null): WebhookObject | null {
  if (webhook === null) return null;
  const { url, status, attempts, lastStatusCode, lastError } = webhook;
  return { url, status, attempts, last_status_code: lastStatusCode, last_error: lastError };
}
