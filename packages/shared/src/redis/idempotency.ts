import { randomUUID } from "node:crypto";
import type { Redis } from "ioredis";
import { idempotencyKey } from "../contract/names.ts";
import { loadScript, runScript } from "./script.ts";

const RESERVE = loadScript("reserve_idempotency_key.lua");
const SETTLE = loadScript("settle_idempotency_key.lua");
const FORGET = loadScript("forget_idempotency_key.lua");

/** Longer than accepting a job takes on a busy machine; what a caller waits for at most whose gateway was killed meanwhile. */
const LEASE_MS = 10_000;

/** A request under an Idempotency-Key, of which only digests are kept. */
export interface KeyedRequest {
  tenant: string;
  keyHash: string;
  /** Of all that makes it the same request. */
  requestHash: string;
}

export type Reservation =
  /** `taken_over`: an earlier holder may have submitted the job already, under this id. */
  | { kind: "reserved" | "taken_over"; jobId: string; holder: string }
  | { kind: "accepted"; jobId: string }
  | { kind: "in_flight" }
  /** By another request. */
  | { kind: "reused" };

/** `retentionSeconds`: the shortest time for which an ended job is kept. */
export async function reserveKey(
  redis: Redis,
  { tenant, keyHash, requestHash }: KeyedRequest,
  options: { jobId: string; keptSeconds: number; retentionSeconds: number; leaseMs?: number },
): Promise<Reservation> {
  const { jobId, keptSeconds, retentionSeconds, leaseMs = LEASE_MS } = options;
  const holder = randomUUID();
  const args = [requestHash, jobId, holder, leaseMs, keptSeconds, retentionSeconds];
  const reply = await runScript(redis, RESERVE, [idempotencyKey(tenant, keyHash)], args);
  const [kind, id = ""] = reply as [Reservation["kind"], string?];
  if (kind === "reserved" || kind === "taken_over") return { kind, jobId: id, holder };
  return kind === "accepted" ? { kind, jobId: id } : { kind };
}

/**
 * `refused`: no job was made and none will be. `unclear`: it may have been.
 * `settled` is false when somebody else has taken the reservation over.
 */
export async function settleKey(
  redis: Redis,
  { tenant, keyHash }: KeyedRequest,
  holder: string,
  outcome: "accepted" | "refused" | "unclear",
  keptSeconds: number,
): Promise<{ settled: boolean }> {
  const key = idempotencyKey(tenant, keyHash);
  return { settled: (await runScript(redis, SETTLE, [key], [holder, outcome, keptSeconds])) === 1 };
}

/** For a job that is erased. */
export async function forgetKey(
  redis: Redis,
  job: { id: string; tenant: string; idempotencyKeyHash: string | null },
): Promise<void> {
  if (job.idempotencyKeyHash === null) return;
  await runScript(redis, FORGET, [idempotencyKey(job.tenant, job.idempotencyKeyHash)], [job.id]);
}
