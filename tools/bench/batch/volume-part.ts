import { DEMO_MODEL } from "../command/models.ts";
import type { BatchOptions } from "../command/options.ts";
import type { ScenarioContext, ScenarioOutcome } from "../command/scenario.ts";
import { type Column, figure, textTable } from "../figures/text-table.ts";
import { completedBatch, wholeMs } from "./batch-client.ts";
import { startBatchCluster } from "./batch-cluster.ts";
import { linesOfSize } from "./lines.ts";
import { type MemoryCourse, sampleMemory } from "./memory-samples.ts";
import { scaled } from "./part.ts";

interface VolumeFigures extends MemoryCourse {
  lines: number;
  uploadMs: number;
  /** Until all lines were read and found fit. */
  validationMs: number;
  /** From there until the last line had ended. */
  linesMs: number;
  /** From there until the files were whole. */
  finalizationMs: number;
  /** Over all of the batch but its upload. */
  linesPerSecond: number;
}

const LINES = { few: 10_000, many: 50_000 };
const LINE_BYTES = 8_192;
/** Redis may take so much, whatever the batch's length. */
const REDIS_BOUND_MIB = 64;
const PROCESSES = ["gateway", "scheduler", "worker"] as const;

/** Many lines through an engine that answers at once: what a line costs, and whose memory grows with their number. */
export async function measureVolume(
  options: BatchOptions,
  context: ScenarioContext,
): Promise<ScenarioOutcome> {
  const few = await measureLines(scaled(LINES.few, options, 100), options, context);
  const many = await measureLines(scaled(LINES.many, options, 500), options, context);
  const peakRatio = Object.fromEntries(
    Object.entries(many.peaks).map(([name, bytes]) => [name, bytes / (few.peaks[name] ?? Number.NaN)]),
  );
  const title = `lines of ${LINE_BYTES} bytes through an engine that answers at once, ${options.slots} slots (Redis may take ${REDIS_BOUND_MIB} MiB)`;
  const ratios = ["redis", ...PROCESSES].map((name) => `${name} ${figure(peakRatio[name] ?? null, 2)}`);
  return {
    figures: { lineBytes: LINE_BYTES, rounds: [few, many], peakRatio },
    tables: `${title}\n${textTable(COLUMNS, [few, many])}\npeaks, many ÷ few: ${ratios.join(", ")}`,
  };
}

/** A cluster of its own: no peak of an earlier batch hides in another one's. */
async function measureLines(
  lines: number,
  { slots, threads }: BatchOptions,
  { stop, tell }: ScenarioContext,
): Promise<VolumeFigures> {
  tell(`${lines} lines: starting`);
  await using cluster = await startBatchCluster(
    {
      modelPath: DEMO_MODEL,
      slots,
      contextTokens: 2_048,
      threads,
      reservedSlots: 0,
      env: {
        QUERN_MAX_FILE_BYTES: String(2 * lines * LINE_BYTES),
        QUERN_BATCH_MAX_LINES: String(lines),
      },
      // Its answers come at once: what is left is what a line costs outside of its engine.
      workerEnv: { QUERN_ENGINE: "scripted" },
    },
    stop,
  );
  const { gateways, schedulers, workers } = cluster.cluster;
  const pids = [gateways, schedulers, workers].map((processes) => processes[0]?.pid as number);
  const processes = Object.fromEntries(PROCESSES.map((name, at) => [name, pids[at] as number]));
  const finished = new AbortController();
  const sampling = sampleMemory({ processes, redis: cluster.target.redis }, finished.signal);
  try {
    tell(`${lines} lines: running`);
    const beganMs = Date.now();
    const id = await cluster.submit(linesOfSize(cluster.model, lines, LINE_BYTES));
    const batch = await completedBatch(cluster.target, id);
    const { createdAtMs, inProgressAtMs, finalizingAtMs, completedAtMs } = batch;
    if (inProgressAtMs === null || finalizingAtMs === null || completedAtMs === null) {
      throw new Error("a batch that has completed has all its times");
    }
    finished.abort();
    return {
      lines,
      uploadMs: createdAtMs - beganMs,
      validationMs: inProgressAtMs - createdAtMs,
      linesMs: finalizingAtMs - inProgressAtMs,
      finalizationMs: completedAtMs - finalizingAtMs,
      linesPerSecond: (lines / wholeMs(batch)) * 1_000,
      ...(await sampling),
    };
  } finally {
    finished.abort();
    await sampling.catch(() => {});
  }
}

const seconds = (ms: number) => figure(ms / 1_000, 2);
const mebibytes = (bytes: number | undefined) => figure(bytes === undefined ? null : bytes / 2 ** 20);

const COLUMNS: Column<VolumeFigures>[] = [
  { title: "lines", cell: ({ lines }) => String(lines) },
  { title: "lines/s", cell: ({ linesPerSecond }) => figure(linesPerSecond, 0) },
  { title: "upload s", cell: ({ uploadMs }) => seconds(uploadMs) },
  { title: "validation s", cell: ({ validationMs }) => seconds(validationMs) },
  { title: "lines s", cell: ({ linesMs }) => seconds(linesMs) },
  { title: "files s", cell: ({ finalizationMs }) => seconds(finalizationMs) },
  ...["redis", ...PROCESSES].map((name) => ({
    title: `${name} MiB`,
    cell: ({ peaks }: VolumeFigures) => mebibytes(peaks[name]),
  })),
];
