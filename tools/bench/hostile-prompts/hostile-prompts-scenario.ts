import { startCluster } from "@quern/testing/cluster";
import { servedModel } from "../cluster/served-model.ts";
import type { HostilePrompt, HostilePromptsOptions } from "../command/options.ts";
import type { ScenarioContext, ScenarioOutcome } from "../command/scenario.ts";
import { highest, median } from "../figures/statistics.ts";
import { type Column, figure, textTable } from "../figures/text-table.ts";
import { HOSTILE_REQUESTS } from "./hostile-bodies.ts";
import { startHostileClient } from "./hostile-client.ts";
import {
  addedP99Ms,
  chatMetrics,
  type HostileRound,
  hostileMetrics,
  sumOfCounts,
} from "./hostile-metrics.ts";
import { type ChatSample, sendSmallChat } from "./small-chat.ts";

const WARM_UP_CHATS = 20;
/** No new chat begins after this time, beside hostile requests or alone. */
const PHASE_LIMIT_MS = 120_000;

interface Measured {
  prompt: HostilePrompt;
  title: string;
  bodyBytes: number;
  rounds: HostileRound[];
}

/**
 * The time to first token of a small chat, alone and beside one client that keeps sending a hostile request. Each round
 * of each hostile request has a cluster of its own, so that what one leaves behind does not count against the next.
 */
export async function runHostilePromptsScenario(
  options: HostilePromptsOptions,
  context: ScenarioContext,
): Promise<ScenarioOutcome> {
  const { prompts, requests, slots, repeat } = options;
  const figures: Measured[] = [];
  for (const prompt of prompts) {
    const { title } = HOSTILE_REQUESTS[prompt];
    const measured: Measured = { prompt, title, bodyBytes: 0, rounds: [] };
    for (let round = 1; round <= repeat; round++) {
      const tell = (line: string) => context.tell(`${prompt}, round ${round} of ${repeat}: ${line}`);
      const { bodyBytes, ...outcome } = await measureRound(prompt, options, { ...context, tell });
      measured.bodyBytes = bodyBytes;
      measured.rounds.push(outcome);
    }
    figures.push(measured);
  }
  const title = `a small chat alone, and beside a hostile client; at least ${requests} chats a phase, ${slots} slots, ${repeat} rounds`;
  return { figures, tables: `${title}\n${textTable(COLUMNS, figures)}` };
}

async function measureRound(
  prompt: HostilePrompt,
  { requests, slots, threads }: HostilePromptsOptions,
  { modelPath, stop, tell }: ScenarioContext,
): Promise<HostileRound & { bodyBytes: number }> {
  stop.throwIfAborted();
  // Short, so that a worker with a stuck engine still kills it before it is itself killed.
  const env = { QUERN_THREADS: String(threads), QUERN_DRAIN_GRACE_SECONDS: "1" };
  await using cluster = await startCluster({
    workers: [{ model: modelPath, slots, env }],
  });
  const { url } = cluster;
  const model = await servedModel(url);
  const chat = () => sendSmallChat(url, model, stop);
  await inSequence(chat, (sent) => sent < WARM_UP_CHATS);
  tell("alone");
  const alone = await inSequence(chat, (sent) => sent < requests);

  tell("beside the hostile client");
  await using client = await startHostileClient({ url, model, prompt }, stop);
  // Until the first hostile request has ended as well: what it costs in its last stage has to count.
  const beside = await inSequence(chat, (sent) => sent < requests || !client.hasFirstEnded);
  const { bodyBytes, replies } = await client.stop();
  return {
    bodyBytes,
    alone: chatMetrics(alone),
    beside: chatMetrics(beside),
    hostile: hostileMetrics(replies),
  };
}

/** One chat after the other. A time-out is the last one: a phase of them would take hours. */
async function inSequence(
  chat: () => Promise<ChatSample>,
  goesOn: (sent: number) => boolean,
): Promise<ChatSample[]> {
  const samples: ChatSample[] = [];
  const beganMs = performance.now();
  while (goesOn(samples.length) && performance.now() - beganMs < PHASE_LIMIT_MS) {
    const sample = await chat();
    samples.push(sample);
    if (sample.outcome === "timed out") break;
  }
  return samples;
}

const COLUMNS: Column<Measured>[] = [
  { title: "hostile request", cell: ({ title }) => title },
  { title: "KB", cell: ({ bodyBytes }) => figure(bodyBytes / 1_000, 0) },
  { title: "alone p50 ms", cell: medianOf(({ alone }) => alone.ttftP50Ms) },
  { title: "p99", cell: medianOf(({ alone }) => alone.ttftP99Ms) },
  { title: "beside p50 ms", cell: medianOf(({ beside }) => beside.ttftP50Ms) },
  { title: "p99", cell: medianOf(({ beside }) => beside.ttftP99Ms) },
  { title: "longest", cell: ({ rounds }) => figure(longestMs(rounds), 0) },
  { title: "added p99 ms", cell: ({ rounds }) => figure(addedP99Ms(rounds), 0) },
  { title: "chats", cell: ({ rounds }) => String(total(rounds, ({ beside }) => beside.requests)) },
  { title: "timed out", cell: ({ rounds }) => String(total(rounds, ({ beside }) => beside.timedOut)) },
  { title: "failed", cell: ({ rounds }) => countsText(rounds.map(({ beside }) => beside.failures)) },
  { title: "hostile got", cell: ({ rounds }) => countsText(rounds.map(({ hostile }) => hostile.replies)) },
  { title: "after ms", cell: medianOf(({ hostile }) => hostile.tookMedianMs, 0) },
];

function medianOf(
  value: (round: HostileRound) => number | null,
  decimals = 1,
): (measured: Measured) => string {
  return ({ rounds }) => figure(median(rounds.flatMap((round) => value(round) ?? [])), decimals);
}

function longestMs(rounds: readonly HostileRound[]): number | null {
  return highest(rounds.flatMap(({ beside }) => beside.ttftLongestMs ?? []));
}

function total(rounds: readonly HostileRound[], count: (round: HostileRound) => number): number {
  return rounds.reduce((sum, round) => sum + count(round), 0);
}

function countsText(counts: readonly Record<string, number>[]): string {
  const entries = Object.entries(sumOfCounts(counts));
  return entries.length === 0 ? "0" : entries.map(([key, count]) => `${count} × ${key}`).join(", ");
}
