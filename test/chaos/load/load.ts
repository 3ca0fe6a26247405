import { setTimeout as sleep } from "node:timers/promises";
import { drawAsk } from "../ask.ts";
import type { LedgerEntry, Wish } from "../ledger.ts";
import type { Script } from "../script.ts";
import { type Client, GivenUp, jsonBody, submit, tryOnce, waitForEnd } from "./client.ts";
import { follow } from "./follow.ts";
import { streamAnswer } from "./stream-answer.ts";
import { WEBHOOK_SECRET } from "./webhooks.ts";

/** Too short for some jobs, and enough for most. */
const TTL_SECONDS = { least: 1, most: 4 };
const HOOKED_PERCENT = 20;
/** Some while a job waits, some while it runs, some after it ended. */
const CANCEL_AFTER_MS = { least: 0, most: 900 };

/** One client after another of what this one stands for, until there is nothing more to submit. */
export async function runClient(client: Client, script: Script, wantsMore: () => boolean): Promise<void> {
  try {
    while (wantsMore()) await oneJob(client, script);
  } catch (error) {
    if (!(error instanceof GivenUp)) throw error;
  }
}

async function oneJob(client: Client, script: Script): Promise<void> {
  const { random, sinkUrl } = client;
  const ask = drawAsk(random, script);
  const dice = random.below(100);
  const wish: Wish = {
    ...(random.chance(30) ? { class: "batch" } : {}),
    ...(random.chance(HOOKED_PERCENT) ? { webhook: { url: sinkUrl, secret: WEBHOOK_SECRET } } : {}),
  };
  const canStream = ask.endpoint !== "/v1/embeddings";
  if (canStream && dice < 20) {
    await streamAnswer(client, ask, "stream");
  } else if (canStream && dice < 25) {
    await streamAnswer(client, ask, "hang up");
  } else if (dice < 60) {
    const entry = await submit(client, ask, "follow", wish);
    if (entry !== null) await follow(client, entry);
  } else if (dice < 70) {
    const entry = await submit(client, ask, "cancel", wish);
    if (entry !== null) await cancel(client, entry);
  } else if (dice < 75) {
    const ttl = { ttl_seconds: random.between(TTL_SECONDS.least, TTL_SECONDS.most) };
    const entry = await submit(client, ask, "expire", { ...wish, ...ttl });
    if (entry !== null) await waitForEnd(client, entry);
  } else {
    const entry = await submit(client, ask, "wait", wish);
    if (entry !== null) await waitForEnd(client, entry);
  }
}

async function cancel(client: Client, entry: LedgerEntry): Promise<void> {
  await sleep(client.random.between(CANCEL_AFTER_MS.least, CANCEL_AFTER_MS.most));
  while ((await tryOnce(client, `/v1/jobs/${entry.jobId}/cancel`, jsonBody({}))) === null);
  await waitForEnd(client, entry);
}
