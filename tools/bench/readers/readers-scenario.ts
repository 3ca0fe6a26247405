import { fork } from "node:child_process";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connectRedis } from "@quern/shared/redis/connect";
import { startCluster } from "@quern/testing/cluster";
import type { Redis } from "ioredis";
import { servedModel } from "../cluster/served-model.ts";
import type { ReadersOptions } from "../command/options.ts";
import type { ScenarioContext, ScenarioOutcome } from "../command/scenario.ts";
import { ownChild } from "../engine/child-lifetime.ts";
import { askChild } from "../engine/child-question.ts";
import { cpuOf } from "../engine/cpu-time.ts";
import { median, medianRatio } from "../figures/statistics.ts";
import { type Column, figure, percent, textTable } from "../figures/text-table.ts";
import type { ReadersReport } from "./readers-child.ts";
import { type ScriptedJob, startScriptedJob } from "./scripted-job.ts";
import { type ChatMetrics, chatMetrics, runSmallChats } from "./small-chats.ts";

const CHAT_TOKENS = 32;
const CHILD = join(import.meta.dirname, "readers-child.ts");
/** Only the readers, without chats: of this the processor time of an event is taken. */
const READERS_ALONE_MS = 5_000;

export interface ReadersRound {
  alone: ChatMetrics;
  beside: ChatMetrics;
  /** Processor time of the gateway for each event that reached a reader, in microseconds. */
  cpuUsPerEvent: number;
  /** Events that reached readers, of those that were published times the readers. */
  delivered: number;
}

/** Small chats alone, and beside one stream with very many readers: a gateway, a Redis, a worker. */
export async function runReadersScenario(
  options: ReadersOptions,
  { modelPath, stop, tell }: ScenarioContext,
): Promise<ScenarioOutcome> {
  const { slots, threads, repeat, readers, perSecond, chats } = options;
  tell("starting the cluster");
  await using stack = new AsyncDisposableStack();
  const cluster = stack.use(
    await startCluster({
      workers: [{ model: modelPath, slots, env: { QUERN_THREADS: String(threads) } }],
      // The job of the readers is in no queue: a scheduler would take it from its worker.
      schedulers: [],
    }),
  );
  const redis = connectRedis(cluster.redis.url, "work", () => {});
  stack.defer(() => redis.disconnect());
  const { url } = cluster;
  const model = await servedModel(url);
  const gateway = cluster.gateways[0]?.pid as number;
  const chat = async () => chatMetrics(await runSmallChats(url, { model, chats, tokens: CHAT_TOKENS }, stop));

  const rounds: ReadersRound[] = [];
  // Round 0 warms up.
  for (let round = 0; round <= repeat; round++) {
    stop.throwIfAborted();
    tell(round === 0 ? "warm-up" : `round ${round} of ${repeat}`);
    const alone = await chat();
    await using crowd = await openCrowd({ redis, url, model, readers, perSecond }, stop);
    const { cpuUsPerEvent, delivered } = await crowd.measure(gateway);
    const beside = await chat();
    if (round > 0) rounds.push({ alone, beside, cpuUsPerEvent, delivered });
  }
  const title = `${chats} chats of ${CHAT_TOKENS} tokens, beside ${readers} readers of one stream with ${perSecond} events/s`;
  return { figures: { rounds }, tables: `${title}\n${textTable(COLUMNS, rowsOf(rounds))}` };
}

interface Crowd extends AsyncDisposable {
  /** For some seconds. `gateway`: its pid. */
  measure(gateway: number): Promise<Pick<ReadersRound, "cpuUsPerEvent" | "delivered">>;
}

/** A stream that goes on, and its readers, in a process of their own; all are connected. */
async function openCrowd(
  {
    redis,
    url,
    model,
    readers,
    perSecond,
  }: { redis: Redis; url: string; model: string; readers: number; perSecond: number },
  stop: AbortSignal,
): Promise<Crowd> {
  await using stack = new AsyncDisposableStack();
  const job: ScriptedJob = await startScriptedJob(redis, model);
  stack.defer(() => job.end());
  const child = fork(CHILD, { stdio: "inherit" });
  const lifetime = ownChild(child, stop);
  stack.defer(() => lifetime.end(() => child.send({ type: "close" })));
  const ask = (command: { type: string }) => askChild<ReadersReport>("the readers", child, command);
  await ask({ type: "open", url: `${url}/v1/jobs/${job.id}/events`, readers } as { type: string });
  const finished = new AbortController();
  const publishing = job.publish(perSecond, finished.signal);
  stack.defer(async () => {
    finished.abort();
    await publishing;
  });
  const count = async () => {
    const report = await ask({ type: "count" });
    return report.type === "counted" ? report.events : 0;
  };
  const opened = stack.move();
  return {
    measure: async (gateway) => {
      const cpu = cpuOf(gateway);
      const before = { events: await count(), cpuMs: cpu.nowMs(), published: job.published };
      await sleep(READERS_ALONE_MS, undefined, { signal: stop });
      const events = (await count()) - before.events;
      return {
        cpuUsPerEvent: ((cpu.nowMs() - before.cpuMs) * 1_000) / events,
        delivered: events / ((job.published - before.published) * readers),
      };
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

interface Row {
  name: string;
  of: (round: ReadersRound) => ChatMetrics;
  rounds: readonly ReadersRound[];
}

function rowsOf(rounds: readonly ReadersRound[]): Row[] {
  return [
    { name: "alone", of: ({ alone }) => alone, rounds },
    { name: "beside the readers", of: ({ beside }) => beside, rounds },
  ];
}

function medianOf(key: keyof ChatMetrics): (row: Row) => string {
  return ({ of, rounds }) => figure(median(rounds.flatMap((round) => of(round)[key] ?? [])));
}

function toAlone(key: keyof ChatMetrics): (row: Row) => string {
  return ({ of, rounds }) => {
    const ratio = medianRatio(
      rounds.map((round) => of(round)[key]),
      rounds.map(({ alone }) => alone[key]),
    );
    return figure(ratio, 2);
  };
}

function besideOnly(cell: (rounds: readonly ReadersRound[]) => string): (row: Row) => string {
  return ({ name, rounds }) => (name === "alone" ? "" : cell(rounds));
}

const COLUMNS: Column<Row>[] = [
  { title: "chats", cell: ({ name }) => name },
  { title: "TTFT p50 ms", cell: medianOf("ttftP50Ms") },
  { title: "p99", cell: medianOf("ttftP99Ms") },
  { title: "÷ alone", cell: toAlone("ttftP50Ms") },
  { title: "token gap p50 ms", cell: medianOf("gapP50Ms") },
  { title: "p99", cell: medianOf("gapP99Ms") },
  { title: "÷ alone", cell: toAlone("gapP99Ms") },
  {
    title: "gateway CPU µs/event",
    cell: besideOnly((rounds) => figure(median(rounds.map(({ cpuUsPerEvent }) => cpuUsPerEvent)))),
  },
  {
    title: "delivered",
    cell: besideOnly((rounds) => percent(median(rounds.map(({ delivered }) => delivered)))),
  },
];
