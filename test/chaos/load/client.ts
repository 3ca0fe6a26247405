import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Ask } from "../ask.ts";
import type { ChaosCluster } from "../cluster.ts";
import type { Intent, Ledger, LedgerEntry, Wish } from "../ledger.ts";
import type { Random } from "../random.ts";

/** What one client of the load has at hand. */
export interface Client {
  cluster: ChaosCluster;
  ledger: Ledger;
  random: Random;
  /** Where ends are told. */
  sinkUrl: string;
  /** Aborts when the run gives up on what has not ended. */
  giveUp: AbortSignal;
  /** Hears of a reply that nobody should ever get. */
  violation: (what: string, details: object) => void;
}

const RETRY_PAUSE_MS = 100;
/** A server that was stopped with its connections open never answers: longer than any reply that is still to come. */
const REPLY_TIMEOUT_MS = 30_000;
/** What a gateway may say when something is away; anything else it must not. */
const MAY_REFUSE = new Set([503, 429]);

export class GivenUp extends Error {}

/** A reply of any gateway; null when there was none, or one that says to try again. */
export async function tryOnce(
  { cluster, random, giveUp }: Client,
  path: string,
  init: RequestInit = {},
): Promise<Response | null> {
  if (giveUp.aborted) throw new GivenUp();
  const urls = cluster.gatewayUrls;
  if (urls.length > 0) {
    const signal = AbortSignal.any([
      giveUp,
      AbortSignal.timeout(REPLY_TIMEOUT_MS),
      ...(init.signal instanceof AbortSignal ? [init.signal] : []),
    ]);
    const reply = await fetch(`${random.pick(urls)}${path}`, { ...init, signal }).catch(() => null);
    if (reply !== null && !MAY_REFUSE.has(reply.status)) return reply;
    await reply?.body?.cancel().catch(() => {});
  }
  await sleep(RETRY_PAUSE_MS);
  return null;
}

export function jsonBody(body: object): RequestInit {
  return { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
}

const KEYED_PERCENT = 30;

/**
 * Sends the job until a gateway has accepted it; null: it was told that its deadline can't be met. A submission without
 * a reply promised nothing, unless it has a key: then all of them are one.
 */
export async function submit(
  client: Client,
  ask: Ask,
  intent: Intent,
  wish: Wish = {},
): Promise<LedgerEntry | null> {
  const { ledger, violation, random } = client;
  const init = jsonBody({ endpoint: ask.endpoint, body: ask.body, ...wish });
  const isKeyed = random.chance(KEYED_PERCENT);
  if (isKeyed) init.headers = { ...init.headers, "idempotency-key": randomUUID() };
  for (;;) {
    const reply = await tryOnce(client, "/v1/jobs", init);
    if (reply === null) {
      if (!isKeyed) ledger.refused += 1;
      continue;
    }
    const text = await reply.text().catch(() => null);
    if (text === null) continue;
    if (reply.status === 202) {
      return ledger.accepted((JSON.parse(text) as { id: string }).id, ask, intent, wish);
    }
    if (isKeyed && text.includes('"idempotency_in_flight"')) {
      await sleep(RETRY_PAUSE_MS);
      continue;
    }
    if (intent === "expire" && text.includes('"deadline_infeasible"')) return null;
    violation("unexpected reply", { to: "submit", status: reply.status, text });
    await sleep(RETRY_PAUSE_MS);
  }
}

/** Asks for the job until it has ended. */
export async function waitForEnd(client: Client, entry: LedgerEntry): Promise<void> {
  for (;;) {
    const reply = await tryOnce(client, `/v1/jobs/${entry.jobId}?wait=10`);
    const text = (await reply?.text().catch(() => null)) ?? null;
    if (reply === null || text === null) continue;
    if (reply.status !== 200) {
      client.violation("unexpected reply", { to: "get", job: entry.jobId, status: reply.status, text });
      return;
    }
    const { status } = JSON.parse(text) as { status: string };
    if (status !== "queued" && status !== "running") {
      client.ledger.terminal(entry, status);
      return;
    }
  }
}
