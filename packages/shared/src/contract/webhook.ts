import { z } from "zod";
import type { TerminalState } from "./lifecycle.ts";

/**
 * How far a webhook is. `disabled`: its receiver answered 410 and wants no more; `failed`: every attempt of the
 * schedule was in vain.
 */
export const WEBHOOK_STATUSES = ["pending", "delivered", "failed", "disabled"] as const;
export type WebhookStatus = (typeof WEBHOOK_STATUSES)[number];

/** A job's webhook as its record holds it. */
export const webhookStateSchema = z.object({
  url: z.string(),
  /** Whose secret signs; the job's own stands apart from the record. */
  signer: z.enum(["job", "tenant"]),
  status: z.enum(WEBHOOK_STATUSES),
  /** Deliveries tried so far. */
  attempts: z.int().nonnegative(),
  /** Of the last attempt; null: it got no answer. */
  lastStatusCode: z.int().nullable(),
  /** Why the last attempt failed; null: it did not. */
  lastError: z.string().nullable(),
});
export type WebhookState = z.infer<typeof webhookStateSchema>;

export function pendingWebhook(url: string, signer: WebhookState["signer"]): WebhookState {
  return { url, signer, status: "pending", attempts: 0, lastStatusCode: null, lastError: null };
}

/** What a submitter asks for. `secret` null: the tenant's own secrets sign. */
export interface WebhookTarget {
  url: string;
  secret: string | null;
}

/** The form in words, for the one who sent another. */
export const WEBHOOK_SECRET_FORM =
  "whsec_ and 24 to 64 random bytes in base64, such as: echo whsec_$(openssl rand -base64 32)";

/**
 * Standard Webhooks' form of a secret: `whsec_` and 24 to 64 bytes in base64
 * (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#signature-scheme).
 */
export const webhookSecretSchema = z
  .string()
  .regex(/^whsec_[A-Za-z0-9+/]{32,88}={0,2}$/, `must be ${WEBHOOK_SECRET_FORM}`)
  .refine((secret) => {
    const base64 = secret.slice("whsec_".length);
    // 64 bytes are 86 digits and two signs of padding.
    const bytes = (base64.replace(/=+$/, "").length * 3) / 4;
    return base64.length % 4 === 0 && bytes >= 24 && bytes < 65;
  }, `must be ${WEBHOOK_SECRET_FORM}`);

export const WEBHOOK_EVENTS = {
  completed: "job.completed",
  failed: "job.failed",
  cancelled: "job.cancelled",
  expired: "job.expired",
} as const satisfies Record<TerminalState, string>;

/** As an operator sets them: separated by commas, while one takes the place of the other. */
export const webhookSecretListSchema = z
  .string()
  .transform((list) => list.split(",").map((secret) => secret.trim()))
  .pipe(z.array(webhookSecretSchema));
