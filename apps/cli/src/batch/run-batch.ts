import { rm } from "node:fs/promises";
import { QuernError } from "@quern/shared/contract/errors";
import { callForJson, PATIENCE_MS, type Server } from "../server/call.ts";
import { isNotFound } from "../server/server-faults.ts";
import { AnswerIndex } from "./answers/answer-index.ts";
import { faultsOf } from "./batch-faults.ts";
import { type Batch, batchSchema, isOver } from "./batch-object.ts";
import { collectBatch } from "./collect-batch.ts";
import { formatCount } from "./format-progress.ts";
import type { InputSource } from "./input/input-lines.ts";
import type { InputSurvey } from "./input/survey-input.ts";
import type { BatchBounds } from "./input/write-requests.ts";
import type { RunFiles } from "./run-files.ts";
import { type BatchState, type RunState, writeRunState } from "./run-state.ts";
import { submitBatch } from "./submit-batch.ts";

export interface BatchPlan {
  source: InputSource;
  survey: InputSurvey;
  files: RunFiles;
  state: RunState;
  dedupe: boolean;
  /** Of one batch: an input beyond that becomes several. */
  bounds: BatchBounds;
}

/** Where a batch is sent. */
export interface BatchPlace {
  /** null: a private cluster. */
  url: string | null;
  server: Server;
}

export interface Watch {
  signal: AbortSignal;
  say: (line: string) => void;
  /** Resolves with the batch as it ended. */
  follow: (server: Server, batch: Batch) => Promise<Batch>;
}

export interface BatchOutcome {
  answers: AnswerIndex;
  /** The batches that ended in this run. */
  batches: Batch[];
}

/** null: something is missing, or under way. Otherwise every request has its answer, and there is nothing to ask a server. */
export async function answersOfEarlierRuns({ survey, files, state }: BatchPlan): Promise<AnswerIndex | null> {
  if (state.submission !== null || state.batches.some(({ collected }) => !collected)) return null;
  const answers = await AnswerIndex.of(files.answers, survey.ids);
  return answers.count === survey.ids.size ? answers : null;
}

/**
 * Sees to it that every request has its answer, as far as asking once more can: attaches to what an earlier run has submitted, or
 * submits what has no answer yet, in one batch after the other where there is too much for one. What is done stands in the run's state at each step.
 * @throws QuernError; the signal's reason when it aborts: the batch then runs on.
 */
export async function runBatch(plan: BatchPlan, place: BatchPlace, watch: Watch): Promise<BatchOutcome> {
  const { survey, files, state } = plan;
  const { server } = place;
  const outcome = { answers: await AnswerIndex.of(files.answers, survey.ids), batches: [] as Batch[] };

  let from: number | null = 0;
  for (const noted of state.batches.filter(({ collected }) => !collected)) {
    const found = await findBatch(place, noted, watch.signal);
    if (found === null) {
      watch.say(`The server does not know batch ${noted.id} any more.`);
      noted.collected = true;
      continue;
    }
    if (isOver(found)) await takeIn(plan, server, noted, found, outcome, watch.signal);
    else {
      watch.say(`Batch ${noted.id} of an earlier run is under way: following it.`);
      const ended = await watch.follow(server, found);
      await takeIn(plan, server, noted, ended, outcome, watch.signal);
      from = nextAfter(ended, noted);
    }
  }
  const had = outcome.answers.count;
  if (from === 0 && had > 0 && had < survey.ids.size) {
    watch.say(
      `${formatCount(had)} requests have their answer: submitting the other ${formatCount(survey.ids.size - had)}.`,
    );
  }
  while (from !== null) from = await runPart(plan, place, watch, from, outcome);
  return outcome;
}

/** One batch of the requests that have no answer, from an index on. @returns where the next begins; null: there is none. */
async function runPart(
  plan: BatchPlan,
  { url, server }: BatchPlace,
  watch: Watch,
  from: number,
  outcome: BatchOutcome,
): Promise<number | null> {
  const { source, survey, files, state, dedupe, bounds } = plan;
  const { answers } = outcome;
  const isWanted = (index: number) => index >= from && !answers.has(index);
  const missing = countWanted(survey.ids.size, isWanted);
  if (missing === 0) return null;
  const submission = { source, endpoint: survey.endpoint, from, isWanted, bounds, dedupe, url };
  const { batch, noted } = await submitBatch(server, submission, { files, state }, watch.signal);
  const rest = noted.next === null ? 0 : missing - noted.requests;
  const follows = rest > 0 ? `; the other ${formatCount(rest)} follow when it is done` : "";
  watch.say(`Batch ${batch.id} is submitted (${formatCount(noted.requests)} requests${follows}).`);
  const ended = await watch.follow(server, batch);
  await takeIn(plan, server, noted, ended, outcome, watch.signal);
  return nextAfter(ended, noted);
}

/** Who has seen a batch cancelled, or expire, does not want the next one at once. */
function nextAfter({ status }: Batch, { next }: BatchState): number | null {
  return status === "completed" ? next : null;
}

function countWanted(total: number, isWanted: (index: number) => boolean): number {
  let count = 0;
  for (let index = 0; index < total; index++) if (isWanted(index)) count += 1;
  return count;
}

/** Of a batch that is over. @throws QuernError `invalid_request` when the server refused its requests. */
async function takeIn(
  { source, survey, files, state }: BatchPlan,
  server: Server,
  noted: BatchState,
  batch: Batch,
  outcome: BatchOutcome,
  signal: AbortSignal,
): Promise<void> {
  if (batch.status === "failed") {
    state.batches.splice(state.batches.indexOf(noted), 1);
    await (state.batches.length === 0 ? rm(files.state, { force: true }) : writeRunState(files.state, state));
    const isWanted = (index: number) => index >= noted.from && !outcome.answers.has(index);
    const isPart = noted.from > 0 || noted.next !== null;
    throw await faultsOf(batch, source, isWanted, isPart);
  }
  outcome.answers = await collectBatch(server, batch, { files, ids: survey.ids }, signal);
  noted.collected = true;
  await writeRunState(files.state, state);
  outcome.batches.push(batch);
}

/** null: there is no such batch any more. @throws QuernError `config_invalid` when it may be at another place. */
async function findBatch(
  { server, url }: BatchPlace,
  noted: BatchState,
  signal: AbortSignal,
): Promise<Batch | null> {
  try {
    const call = { signal, patienceMs: PATIENCE_MS };
    return await callForJson(server, `/v1/batches/${noted.id}`, batchSchema, call);
  } catch (error) {
    if (!isNotFound(error)) throw error;
    if (noted.url === url) return null;
    throw new QuernError(
      "config_invalid",
      `batch ${noted.id} of an earlier run was submitted ${noted.url === null ? "with --local" : `to ${noted.url}`}: say so again, or start over with --fresh`,
    );
  }
}
