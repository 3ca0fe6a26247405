import type { LedgerEntry } from "../ledger.ts";
import type { Wrong } from "./check-job.ts";
import { choicesOf, type FinalJob } from "./final-job.ts";
import { joinEvents } from "./joined.ts";

type StoredEvent = { event: string; data: string };

/** Whatever a job ended with: its answer has all the choices that were asked for, and is there once anything was published. */
export function checkChoices(
  wrong: Wrong,
  { ask }: LedgerEntry,
  final: FinalJob,
  stored: readonly StoredEvent[],
): void {
  if (ask.expected === null) return;
  const shown = choicesOf(final).length;
  if (shown !== 0 && shown !== ask.choices) wrong(`it shows ${shown} of ${ask.choices} choices`);
  const hasSpoken = joinEvents(stored, ask.choices).some(({ text, reasoning, calls }) => {
    return text !== "" || reasoning !== "" || calls.length > 0;
  });
  if (shown === 0 && hasSpoken) wrong("its answer is missing, though its events tell something");
}

/** How a stream says that its job ended without an answer; after other errors the job runs on. */
const ENDED_UNANSWERED = /"code":"(job_cancelled|deadline_exceeded|engine_crashed)"/;

/** A stream that tells the job's end has told of each choice, unless the job never began. */
export function checkToldChoices(
  wrong: Wrong,
  { ask, chunks, streamEnd }: LedgerEntry,
  stored: readonly StoredEvent[],
): void {
  const isEnd = streamEnd === "done" || (streamEnd === "error" && chunks.some(isUnanswered));
  if (!isEnd || !stored.some(({ event }) => event === "start")) return;
  const told = new Set(chunks.flatMap(indexesOf));
  if (told.size !== ask.choices) wrong("its stream left out choices", [...told]);
}

function isUnanswered(chunk: string): boolean {
  return chunk.startsWith('{"error"') && ENDED_UNANSWERED.test(chunk);
}

function indexesOf(chunk: string): number[] {
  const { choices = [] } = JSON.parse(chunk) as { choices?: { index: number }[] };
  return choices.map(({ index }) => index);
}
