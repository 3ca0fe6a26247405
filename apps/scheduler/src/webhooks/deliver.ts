import { Webhook } from "standardwebhooks";
import { postBody } from "./post-body.ts";
import { ReceiverRefused, type Resolve, receiverAddresses } from "./receiver-addresses.ts";
import { retryAfterMs } from "./retry-schedule.ts";

/** From the first look at the name to the last byte of the answer. */
const ATTEMPT_TIMEOUT_MS = 15_000;

export interface Delivery {
  id: string;
  url: string;
  body: string;
  /** Each signs; a receiver is content with one that it knows. */
  secrets: string[];
}

/** What an attempt came to. `unwanted`: the receiver has said (410) that it wants no more. */
export type DeliveryReply =
  | { kind: "delivered"; statusCode: number }
  | { kind: "unwanted"; statusCode: number }
  | { kind: "failed"; statusCode: number | null; error: string; retryAfterMs: number | null };

export interface DeliverOptions {
  privateReceivers: "allowed" | "refused";
  resolve: Resolve;
  nowMs: number;
  signal: AbortSignal;
}

/** One attempt by Standard Webhooks' rules. @throws the signal's reason only. */
export async function deliver(delivery: Delivery, options: DeliverOptions): Promise<DeliveryReply> {
  const { signal, nowMs } = options;
  const timeUp = AbortSignal.timeout(ATTEMPT_TIMEOUT_MS);
  try {
    const reply = await post(delivery, options, AbortSignal.any([signal, timeUp]));
    const { statusCode } = reply;
    if (statusCode >= 200 && statusCode < 300) return { kind: "delivered", statusCode };
    if (statusCode === 410) return { kind: "unwanted", statusCode };
    const redirected = statusCode >= 300 && statusCode < 400;
    return {
      kind: "failed",
      statusCode,
      error: redirected ? `redirect ${statusCode}, which is not followed` : `status ${statusCode}`,
      retryAfterMs: retryAfterMs(reply.retryAfter, nowMs),
    };
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    const why = timeUp.aborted ? `no answer within ${ATTEMPT_TIMEOUT_MS / 1_000} s` : reasonOf(error);
    return { kind: "failed", statusCode: null, error: why, retryAfterMs: null };
  }
}

async function post(
  { id, url, body, secrets }: Delivery,
  { privateReceivers, resolve, nowMs }: DeliverOptions,
  signal: AbortSignal,
) {
  const target = new URL(url);
  const addresses = await until(signal, receiverAddresses(target, privateReceivers, resolve));
  const sentAt = new Date(nowMs);
  const headers = {
    "webhook-id": id,
    "webhook-timestamp": String(Math.floor(nowMs / 1_000)),
    "webhook-signature": secrets.map((secret) => new Webhook(secret).sign(id, sentAt, body)).join(" "),
  };
  return postBody(target, addresses, { headers, body }, signal);
}

/** A resolver can't be stopped; its answer is then of no interest. */
async function until<Value>(signal: AbortSignal, work: Promise<Value>): Promise<Value> {
  const gaveUp = Promise.withResolvers<never>();
  const giveUp = () => gaveUp.reject(signal.reason);
  signal.addEventListener("abort", giveUp, { once: true });
  try {
    signal.throwIfAborted();
    return await Promise.race([work, gaveUp.promise]);
  } finally {
    signal.removeEventListener("abort", giveUp);
    work.catch(() => {});
  }
}

/** What a connection failed of, in a word that holds nothing of the URL. */
function reasonOf(error: unknown): string {
  if (error instanceof ReceiverRefused) return error.message;
  const { code } = error as NodeJS.ErrnoException;
  return typeof code === "string" ? `the connection failed: ${code}` : "the connection failed";
}
