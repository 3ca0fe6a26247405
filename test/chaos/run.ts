import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { checkAll } from "./check/check-all.ts";
import { checkBatch } from "./check/check-batch.ts";
import { checkCounters } from "./check/check-counters.ts";
import { checkWebhooks } from "./check/check-webhooks.ts";
import { ChaosCluster, LEASE_MS } from "./cluster.ts";
import { breakThings, FAULTS_A_ROUND } from "./faults/break-things.ts";
import { Ledger } from "./ledger.ts";
import { type EndedBatch, runBatches } from "./load/batches/run-batches.ts";
import type { Client } from "./load/client.ts";
import { runClient } from "./load/load.ts";
import { startRefusingSink } from "./load/webhooks.ts";
import type { ChaosOptions } from "./options.ts";
import { Random } from "./random.ts";
import { type Script, writeChaosModel } from "./script.ts";
import type { RunFigures } from "./table.ts";
import type { Takeovers } from "./takeovers.ts";
import { watchStates } from "./watch-states.ts";

const GATEWAYS = 2;
const MAX_CLOCK_OFFSET_MS = 5 * 60_000;
/** What runs or waits when the load ends may take so long: some leases, and the queue before it. */
const SETTLE_MS = 15 * LEASE_MS;
const SETTLE_MS_A_LINE = 100;
/** Of the slots that are left when one worker is down: a take-over must not wait for room. */
const LOAD = 0.7;

/** Violations of the run as a whole, beside those of single jobs. */
export interface RunOutcome extends RunFigures {
  unexpected: { what: string; details?: unknown }[];
}

/** Load and faults together, then quiet, then the check of every job. `tell`: progress, a line at a time. */
export async function runChaos(
  options: ChaosOptions,
  folder: string,
  tell: (line: string) => void,
): Promise<RunOutcome> {
  const random = new Random(options.seed);
  const [clocks, faultRandom] = [random.fork(), random.fork()];
  const modelPath = join(folder, "chaos.gguf");
  const script = await writeChaosModel(modelPath);
  await using ledger = new Ledger(join(folder, "ledger.jsonl"));
  await using sink = await startRefusingSink();
  await using cluster = await ChaosCluster.start({
    folder,
    modelPath,
    workers: options.workers,
    slotsPerWorker: options.slotsPerWorker,
    gateways: GATEWAYS,
    clockOffsetMs: () => clocks.between(-MAX_CLOCK_OFFSET_MS, MAX_CLOCK_OFFSET_MS),
  });
  for (const { name, clockOffsetMs } of cluster.places)
    tell(`${name}: clock ${Math.round(clockOffsetMs / 1_000)} s off`);

  const unexpected: RunOutcome["unexpected"] = [];
  const takeovers: Takeovers = new Map();
  const giveUp = new AbortController();
  const client = (): Client => ({
    cluster,
    ledger,
    random: random.fork(),
    sinkUrl: sink.url,
    giveUp: giveUp.signal,
    violation: (what, details) => unexpected.push({ what, details }),
  });
  const untilMs = performance.now() + options.minutes * 60_000;
  const isTime = () => performance.now() < untilMs;
  let isBreaking = true;
  const wantsMore = () => isTime() && (isBreaking || ledger.entries.size < options.jobs);
  const clients = options.jobs === 0 ? 0 : Math.floor((options.workers - 1) * options.slotsPerWorker * LOAD);
  const load = Array.from({ length: clients }, () => runClient(client(), script, wantsMore));

  let batches: EndedBatch[] | "under way" | "given up" = options.lines === 0 ? [] : "under way";
  const batched = handIn(client, script, options.lines).then((ended) => {
    batches = ended;
  });

  const watching = new AbortController();
  const watch = watchStates(cluster.redis, ledger, watching.signal);
  const faults = await breakThings(
    { cluster, ledger, takeovers, random: faultRandom },
    { only: options.faults, atOnce: options.atOnce },
    (injected) =>
      isTime() &&
      (injected < FAULTS_A_ROUND || ledger.entries.size < options.jobs || batches === "under way"),
    (name) => tell(`${ledger.entries.size} accepted; ${name}`),
  );
  isBreaking = false;
  await cluster.whole();
  const all = Promise.all([...load, batched]);
  await Promise.race([all, settle(untilMs, options.lines, giveUp)]);
  await all;
  watching.abort();
  await watch;

  const entries = [...ledger.entries.values()];
  const verdict = await checkAll(cluster, ledger);
  const untold = await checkWebhooks(sink, ledger);
  const books = await checkCounters(cluster.redis, verdict.byState, ledger.refused);
  for (const what of [...books, ...untold, ...cluster.unexpectedDeaths, ...faultsOf(batches)])
    unexpected.push({ what });
  return {
    accepted: entries.length,
    refused: ledger.refused,
    lines: options.lines,
    reconnects: entries.reduce((sum, { reconnects }) => sum + reconnects, 0),
    cutStreams: entries.filter(({ streamEnd, intent }) => streamEnd === "cut" && intent === "stream").length,
    verdict,
    faults,
    takeovers,
    unexpected,
  };
}

async function handIn(
  newClient: () => Client,
  script: Script,
  lines: number,
): Promise<EndedBatch[] | "given up"> {
  if (lines === 0) return [];
  return (await runBatches(newClient, script, lines)) ?? "given up";
}

function faultsOf(batches: EndedBatch[] | "under way" | "given up"): string[] {
  return typeof batches === "string" ? ["a batch did not end"] : batches.flatMap(checkBatch);
}

/** Patience with what has not ended, counted from when nothing new is submitted. */
async function settle(untilMs: number, lines: number, giveUp: AbortController): Promise<void> {
  const patienceMs = SETTLE_MS + lines * SETTLE_MS_A_LINE;
  await sleep(Math.max(0, untilMs - performance.now()) + patienceMs, undefined, { ref: false });
  giveUp.abort();
}
