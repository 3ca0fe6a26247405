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
import type { RunFiles } from "./run-files.ts";
import { type BatchState, type RunState, writeRunState } from "./run-state.ts";
import { submitBatch } from "./submit-batch.ts";

export interface BatchPlan {
  source: InputSource;
  survey: InputSurvey;
  files: RunFiles;
  state: RunState;
  dedupe: boolean;
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
 * Sees to it that every request has its answer, as far as one more batch can: attaches to what an earlier run has submitted, or
 * submits what has no answer yet. What is done stands in the run's state at each step.
 * @throws QuernError; the signal's reason when it aborts: the batch then runs on.
 */
export async function runBatch(plan: BatchPlan, place: BatchPlace, watch: Watch): Promise<BatchOutcome> {
  const { source, survey, files, state, dedupe } = plan;
  const { url, server } = place;
  const outcome = { answers: await AnswerIndex.of(files.answers, survey.ids), batches: [] as Batch[] };

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
      await takeIn(plan, server, noted, await watch.follow(server, found), outcome, watch.signal);
      // Somebody watches this one end, and decides what is next.
      return outcome;
    }
  }

  const { answers } = outcome;
  const missing = survey.ids.size - answers.count;
  if (missing === 0) return outcome;
  if (answers.count > 0)
    watch.say(
      `${formatCount(answers.count)} requests have their answer: submitting the other ${formatCount(missing)}.`,
    );
  const isWanted = (index: number) => !answers.has(index);
  const submission = { source, endpoint: survey.endpoint, isWanted, dedupe, url };
  const { batch, noted } = await submitBatch(server, submission, { files, state }, watch.signal);
  watch.say(`Batch ${batch.id} is submitted (${formatCount(missing)} requests).`);
  await takeIn(plan, server, noted, await watch.follow(server, batch), outcome, watch.signal);
  return outcome;
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
    throw await faultsOf(batch, source, (index) => !outcome.answers.has(index));
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
