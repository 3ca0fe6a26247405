import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { dirname } from "node:path";
import { QuernError } from "@quern/shared/contract/errors";
import type { Server } from "../server/call.ts";
import type { ClusterSettings } from "../up/cluster.ts";
import type { StopSignals } from "../up/stop-signals.ts";
import type { AnswerIndex } from "./answers/answer-index.ts";
import { answeredRows } from "./answers/answered-rows.ts";
import { compareAnswers } from "./answers/compare-answers.ts";
import { ANSWER_COLUMN, writeCsv, writeText } from "./answers/write-answers.ts";
import { localModel, modelOfServer } from "./choose-model.ts";
import { followShown } from "./follow-shown.ts";
import { type InputSource, modelNamedIn } from "./input/input-lines.ts";
import { type InputSurvey, surveyInput } from "./input/survey-input.ts";
import { withLocalServer } from "./local-server.ts";
import { lockRun, openRun } from "./open-run.ts";
import {
  answersOfEarlierRuns,
  type BatchOutcome,
  type BatchPlan,
  runBatch,
  type Watch,
} from "./run-batch.ts";
import { type RunFiles, runFiles } from "./run-files.ts";
import type { RunFlags } from "./run-options.ts";
import { runSummary } from "./run-summary.ts";

/** What OpenAI's API takes, and Quern unless it is told otherwise. */
const MAX_BATCH_REQUESTS = 50_000;
const MAX_BATCH_BYTES = 200_000_000;

export interface RunContext {
  flags: RunFlags;
  server: Server;
  settings: ClusterSettings;
  signals: StopSignals;
}

/**
 * `quern batch run`, from a file of requests to a file of answers.
 * @returns whether every request has its answer.
 * @throws QuernError; the reason of `signals.stop` when it aborts.
 */
export async function run(asked: InputSource, context: RunContext): Promise<boolean> {
  const { flags, signals } = context;
  const { source, spec } = await withModel(asked, context);
  const survey = await surveyInput(source, signals.stop);
  checkColumns(flags, survey);
  const files = runFiles(flags.output, flags.format === "jsonl");
  if (!existsSync(dirname(files.output))) {
    throw new QuernError("config_invalid", `there is no folder ${dirname(files.output)} for ${files.output}`);
  }
  using _lock = await lockRun(files);
  const state = await openRun(files, `${survey.digest} ${flags.format}`, flags.fresh === true);
  const bounds = { requests: flags.batchLines ?? MAX_BATCH_REQUESTS, bytes: MAX_BATCH_BYTES };
  const plan = { source, survey, files, state, dedupe: flags.dedupe === true, bounds };

  const earlier = await answersOfEarlierRuns(plan);
  const outcome = earlier === null ? await runAt(plan, spec, context) : { answers: earlier, batches: [] };
  await writeOutput(flags, plan, outcome.answers, signals.stop);
  const { compare } = flags;
  const rows = answeredRows(source, survey.endpoint, outcome.answers);
  const comparison =
    compare === undefined ? null : { column: compare, ...(await compareAnswers(rows, compare)) };
  const [total, answered] = [survey.ids.size, outcome.answers.count];
  const summary = await runSummary({ total, answered, batches: outcome.batches, comparison }, files);
  for (const line of summary) console.log(line);
  return answered === total;
}

/** Rows name no model: then it is the person's, or the only one there is. */
async function withModel(
  asked: InputSource,
  { flags, server, settings, signals }: RunContext,
): Promise<{ source: InputSource; spec: string }> {
  if (flags.local === true) {
    const { spec, name } = await localModel(asked, settings.models.modelsFile);
    return { source: { ...asked, asking: { ...asked.asking, model: name } }, spec };
  }
  const model =
    asked.asking.model ??
    ((await modelNamedIn(asked)) === null ? await modelOfServer(server, signals.stop) : null);
  return { source: { ...asked, asking: { ...asked.asking, model } }, spec: "" };
}

function checkColumns({ compare, format }: RunFlags, { columns }: InputSurvey): void {
  if (compare !== undefined && !columns.includes(compare)) {
    throw new QuernError(
      "config_invalid",
      `the input has no column '${compare}' to compare with; it has ${columns.join(", ")}`,
    );
  }
  if (format === "csv" && columns.includes(ANSWER_COLUMN)) {
    throw new QuernError(
      "config_invalid",
      `the input has a column '${ANSWER_COLUMN}', which is what answers are called in a CSV: rename it, or take --format jsonl`,
    );
  }
}

async function runAt(
  plan: BatchPlan,
  spec: string,
  { flags, server, settings, signals }: RunContext,
): Promise<BatchOutcome> {
  const watch: Watch = {
    signal: signals.stop,
    say: console.log,
    follow: (at, { id }) => followShown(at, id, signals.stop),
  };
  if (flags.local !== true) return await runBatch(plan, { url: server.url, server }, watch);
  const dataDir = flags.dataDir ?? plan.files.cluster;
  const options = { dataDir, model: spec, engine: flags, threads: flags.threads ?? null };
  const local = { signals, say: console.log };
  try {
    return await withLocalServer(options, settings, local, (own) =>
      runBatch(plan, { url: null, server: own }, watch),
    );
  } finally {
    // Once all that it had for this run stands in the output.
    const isDone = plan.state.submission === null && plan.state.batches.every(({ collected }) => collected);
    if (flags.dataDir === undefined && isDone) await rm(dataDir, { recursive: true, force: true });
  }
}

async function writeOutput(
  { format }: RunFlags,
  { source, survey, files }: { source: InputSource; survey: InputSurvey; files: RunFiles },
  answers: AnswerIndex,
  signal: AbortSignal,
): Promise<void> {
  const rows = answeredRows(source, survey.endpoint, answers);
  if (format === "csv") await writeCsv(rows, survey.columns, files.output, signal);
  if (format === "text") await writeText(rows, files.output, signal);
}
