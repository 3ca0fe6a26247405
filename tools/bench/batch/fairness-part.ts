import { Readable } from "node:stream";
import { DirectoryStore } from "@quern/shared/files/directory-store";
import { newFileId } from "@quern/shared/files/file-id";
import { fileKey } from "@quern/shared/files/file-key";
import { createFileRecord, reserveFile } from "@quern/shared/redis/file-records";
import { findModel } from "../command/models.ts";
import type { BatchOptions } from "../command/options.ts";
import type { ScenarioContext, ScenarioOutcome } from "../command/scenario.ts";
import { median } from "../figures/statistics.ts";
import { type Column, figure, textTable } from "../figures/text-table.ts";
import { batchWhen, cancelBatch, completedBatch, jsonl, wholeMs } from "./batch-client.ts";
import { type BatchCluster, startBatchCluster } from "./batch-cluster.ts";
import { openDispatch, type TenantDispatch } from "./dispatch-under-test.ts";
import { type InputLine, plainLines } from "./lines.ts";
import { scaled } from "./part.ts";

interface Round {
  /** The small batch from its acceptance to its last byte, alone and beside the large one. */
  aloneMs: number;
  besideMs: number;
  ratio: number;
}

/** The API knows one tenant, whose batch is the large one; the small one comes from another. */
const OTHER_TENANT = "bench";
const LARGE_LINES = 10_000;
/** Fewer would be over before the two had met. */
const LEAST_LARGE_LINES = 1_000;
const SMALL_LINES = 100;
/** Long enough for lines to be what takes the time, not the batch's beginning and end. */
const LINE = { characters: 24, tokens: 256 };
const FILE_TIMEOUT_MS = 60_000;

/** One tenant's batch fills the cluster when another tenant's small one arrives. */
export async function measureFairness(
  options: BatchOptions,
  { stop, tell }: ScenarioContext,
): Promise<ScenarioOutcome> {
  const { slots, threads, repeat } = options;
  const largeLines = scaled(LARGE_LINES, options, LEAST_LARGE_LINES);
  tell("starting");
  await using cluster = await startBatchCluster(
    { modelPath: await findModel("tiny", tell), slots, contextTokens: 512, threads, reservedSlots: 0 },
    stop,
  );
  await using dispatch = await openDispatch(cluster.cluster.redis.url);
  const { target, model } = cluster;
  const small = async (seed: number) => {
    const lines = plainLines(model, { count: SMALL_LINES, ...LINE, seed });
    const id = await submitAs(OTHER_TENANT, lines, cluster, dispatch);
    return wholeMs(await completedBatch(target, id));
  };
  const rounds: Round[] = [];
  // Round 0 warms up.
  for (let round = 0; round <= repeat; round++) {
    const name = round === 0 ? "warm-up" : `round ${round} of ${repeat}`;
    tell(`${name}: ${SMALL_LINES} lines alone`);
    const aloneMs = await small(2 * round);
    tell(`${name}: beside ${largeLines} lines of another tenant`);
    const large = await cluster.submit(plainLines(model, { count: largeLines, ...LINE, seed: 2 * round }));
    await batchWhen(target, large, ({ completed }) => completed >= slots);
    const besideMs = await small(2 * round + 1);
    await cancelBatch(target, large);
    if (round > 0) rounds.push({ aloneMs, besideMs, ratio: besideMs / aloneMs });
  }
  const title = `${SMALL_LINES} lines of ${LINE.tokens} tokens, alone and beside ${largeLines} of another tenant, ${slots} slots`;
  const rows = rounds.map((round, at) => ({ name: `round ${at + 1}`, ...round }));
  const ratio = median(rounds.map((round) => round.ratio));
  return {
    figures: { largeLines, smallLines: SMALL_LINES, rounds, ratio },
    tables: `${title}\n${textTable(COLUMNS, rows)}\nbeside ÷ alone: ${figure(ratio, 2)}`,
  };
}

/** The way of an upload and a submission, without the gateway's authentication. */
async function submitAs(
  tenant: string,
  lines: InputLine[],
  { target: { redis, stop }, filesFolder }: BatchCluster,
  dispatch: TenantDispatch,
): Promise<string> {
  const file = { tenant, id: newFileId() };
  await reserveFile(redis, file, Date.now() + FILE_TIMEOUT_MS);
  const content = Readable.from(jsonl(lines)).map((text: string) => Buffer.from(text));
  const { bytes } = await new DirectoryStore(filesFolder).write(fileKey(file), content, stop);
  await createFileRecord(redis, {
    ...file,
    purpose: "batch",
    filename: "lines.jsonl",
    bytes,
    createdAtMs: Date.now(),
    expiresAtMs: null,
    status: "uploaded",
  });
  return dispatch.submit(tenant, file.id);
}

const COLUMNS: Column<Round & { name: string }>[] = [
  { title: "round", cell: ({ name }) => name },
  { title: "alone s", cell: ({ aloneMs }) => figure(aloneMs / 1_000, 2) },
  { title: "beside s", cell: ({ besideMs }) => figure(besideMs / 1_000, 2) },
  { title: "beside ÷ alone", cell: ({ ratio }) => figure(ratio, 2) },
];
