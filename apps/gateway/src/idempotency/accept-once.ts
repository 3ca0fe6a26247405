import { QuernError } from "@quern/shared/contract/errors";
import { httpStatusOf } from "@quern/shared/openai/error-body";
import { type KeyedRequest, reserveKey, settleKey } from "@quern/shared/redis/idempotency";
import { isRedisAway } from "@quern/shared/redis/redis-away";
import type { Redis } from "ioredis";

const IN_FLIGHT_RETRY_AFTER_SECONDS = 1;

export interface Accepted<Thing> {
  thing: Thing;
  /** An earlier request of the same Idempotency-Key made it. */
  replayed: boolean;
}

/** What requests are accepted as: jobs, say, or batches. */
export interface Acceptance<Thing> {
  /** Of a thing that is yet to be made. */
  newId: () => string;
  /** Makes it under this id; called twice with one id, it must make one. */
  accept: (id: string) => Promise<Thing>;
  /** null: it is no longer kept. */
  read: (id: string) => Promise<Thing | null>;
}

/**
 * Accepts a request, at most once under one Idempotency-Key, whatever dies in between:
 *
 *   reserve ──▶ `accept` under the reserved id ──▶ accepted
 *     │              └─refused──▶ the key is free     └─broke off──▶ the next request goes on, under the same id
 *     └─accepted before──▶ what it was accepted as
 *
 * @throws QuernError `idempotency_key_reused`, `idempotency_in_flight`, `idempotency_key_expired`, and what `accept` throws.
 */
export async function acceptOnce<Thing>(
  redis: Redis,
  keyed: KeyedRequest | null,
  kept: { keptSeconds: number; retentionSeconds: number },
  { newId, accept, read }: Acceptance<Thing>,
): Promise<Accepted<Thing>> {
  const id = newId();
  if (keyed === null) return { thing: await accept(id), replayed: false };
  const reservation = await reserveKey(redis, keyed, { jobId: id, ...kept });
  switch (reservation.kind) {
    case "reused":
      throw new QuernError(
        "idempotency_key_reused",
        "this Idempotency-Key belongs to another request; draw a new key for each request",
      );
    case "in_flight":
      throw new QuernError(
        "idempotency_in_flight",
        "the first request with this Idempotency-Key is just being accepted; try again in a second",
        { retryAfterSeconds: IN_FLIGHT_RETRY_AFTER_SECONDS },
      );
    case "accepted": {
      const thing = await read(reservation.jobId);
      if (thing === null) throw noLongerKept(reservation.jobId);
      return { thing, replayed: true };
    }
    case "reserved":
    case "taken_over": {
      const settle = (outcome: "accepted" | "refused" | "unclear") =>
        // With Redis away the lease lapses by itself.
        settleKey(redis, keyed, reservation.holder, outcome, kept.keptSeconds).catch(() => {});
      try {
        const thing = await accept(reservation.jobId);
        await settle("accepted");
        return { thing, replayed: false };
      } catch (error) {
        const settled = settle(reservation.kind === "reserved" && isRefusal(error) ? "refused" : "unclear");
        // A caller is told within a second that Redis is away, which leaves no time to ask it once more.
        if (!isRedisAway(error)) await settled;
        throw error;
      }
    }
  }
}

/** The caller's own fault, or a gateway that is too busy: both are found before anything is written. */
function isRefusal(error: unknown): boolean {
  if (!(error instanceof QuernError)) return false;
  return httpStatusOf(error.code) < 500 || error.code === "gateway_overloaded";
}

function noLongerKept(id: string): QuernError {
  return new QuernError(
    "idempotency_key_expired",
    `the request with this Idempotency-Key became ${id}, which is no longer kept; draw a new key to run it again`,
  );
}
