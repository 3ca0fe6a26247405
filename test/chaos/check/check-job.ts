import { isDeepStrictEqual } from "node:util";
import { compareEventIds, type NumberedTokenEvent } from "@quern/shared/contract/token-event";
import type { Intent, LedgerEntry } from "../ledger.ts";
import { checkChoices, checkToldChoices } from "./check-choices.ts";
import { choicesOf, type FinalJob } from "./final-job.ts";
import { joinChunks, joinEvents } from "./joined.ts";

/** `lost`: accepted and gone, or without an end. `twice`: ended more than once. `wrong`: not what was asked for or shown. */
export interface Violation {
  kind: "lost" | "twice" | "wrong";
  jobId: string;
  what: string;
  details?: unknown;
}

/** What is wrong with a job that was accepted, by all that was seen of it. `events`: its stream as Redis holds it. */
export function checkJob(
  entry: LedgerEntry,
  final: FinalJob | null,
  events: NumberedTokenEvent[],
): Violation[] {
  const { jobId } = entry;
  if (final === null) return [{ kind: "lost", jobId, what: "there is no such job" }];
  if (final.status === "queued" || final.status === "running") {
    return [{ kind: "lost", jobId, what: `${final.status} for ever`, details: final }];
  }
  const found: Violation[] = [];
  const wrong = (what: string, details?: unknown) => found.push({ kind: "wrong", jobId, what, details });
  if (entry.terminalStates.some((state) => state !== final.status)) {
    found.push({
      kind: "twice",
      jobId,
      what: "its end changed",
      details: [...entry.terminalStates, final.status],
    });
  }
  checkEnds(found, entry, final, events);
  checkNumbers(wrong, events);
  checkAnswer(wrong, entry, final);
  const stored = events.map(({ id, event }) => ({ id, event: event.type, data: JSON.stringify(event.data) }));
  checkStream(wrong, entry, final, stored);
  checkChunks(wrong, entry, final, stored);
  checkChoices(wrong, entry, final, stored);
  checkToldChoices(wrong, entry, stored);
  return found;
}

export type Wrong = (what: string, details?: unknown) => void;

function checkEnds(
  found: Violation[],
  { jobId }: LedgerEntry,
  { status }: FinalJob,
  events: NumberedTokenEvent[],
): void {
  const ends = events.flatMap(({ event }) => (event.type === "end" ? [event.data.status] : []));
  if (ends.length !== 1 || ends[0] !== status || events.at(-1)?.event.type !== "end") {
    found.push({
      kind: "twice",
      jobId,
      what: "its stream does not end just once",
      details: { status, ends },
    });
  }
}

/** `seq` counts every event, over all attempts; no attempt speaks after a later one has. */
function checkNumbers(wrong: Wrong, events: NumberedTokenEvent[]): void {
  const gap = events.find(({ id }, at) => Number(id.split("-")[1]) !== at + 1);
  if (gap !== undefined) wrong("its events are not numbered without a gap", gap.id);
  const late = events.find(({ id }, at) => at > 0 && compareEventIds(events[at - 1]?.id ?? "", id) >= 0);
  if (late !== undefined) wrong("an earlier attempt spoke after a later one", late.id);
}

const WANTED_BY: Record<"cancelled" | "expired", readonly Intent[]> = {
  cancelled: ["cancel", "hang up"],
  expired: ["expire"],
};

/** The answer against what was known before it was asked for. */
function checkAnswer(wrong: Wrong, { ask, intent }: LedgerEntry, final: FinalJob): void {
  const { expected, choices: count } = ask;
  const choices = choicesOf(final);
  if (final.status === "failed" || final.status === "cancelled" || final.status === "expired") {
    // No job of the load harms an engine, and what kills engines here are faults from outside.
    if (final.status === "failed") wrong("it failed", final.error);
    else if (!WANTED_BY[final.status].includes(intent)) wrong(`it is ${final.status}, which nobody wanted`);
    const isPart = ({ text, reasoning }: { text: string; reasoning: string }) =>
      expected?.text.startsWith(text) === true && expected.reasoning.startsWith(reasoning);
    if (!choices.every(isPart)) wrong("its part of an answer is none", choices);
    return;
  }
  if (final.status !== "completed") {
    wrong(`it is ${final.status}`);
    return;
  }
  if (expected === null) {
    if (!final.response?.body.data?.[0]?.embedding.length) wrong("it has no vector", final.response);
    return;
  }
  const { completionTokens, ...answer } = expected;
  if (!isDeepStrictEqual(choices, Array(count).fill(answer)))
    wrong("it is another answer", { choices, answer });
  const { usage } = final;
  if (usage?.completion_tokens !== completionTokens * count)
    wrong("its usage is not exact", { usage, expected: completionTokens * count });
  if (usage?.total_tokens !== (usage?.prompt_tokens ?? 0) + (usage?.completion_tokens ?? 0))
    wrong("its usage does not add up", usage);
  if (!isDeepStrictEqual(final.response?.body.usage, usage)) wrong("its usage is told in two ways", usage);
}

/** The stream joins to the answer, and a client that was cut off again and again saw just the stream. */
function checkStream(
  wrong: Wrong,
  { ask, intent, events: seen }: LedgerEntry,
  final: FinalJob,
  stored: { id: string; event: string; data: string }[],
): void {
  const joined = joinEvents(stored, ask.choices);
  const said = choicesOf(final).map(({ finishReason: _, ...choice }) => choice);
  if (said.length > 0 && !isDeepStrictEqual(joined, said))
    wrong("its events don't join to its answer", { joined, said });
  if (intent !== "follow") return;
  const ids = (events: { id: string }[]) => events.map(({ id }) => id);
  if (!isDeepStrictEqual(ids(seen), ids(stored)))
    wrong("its reader saw other events", { seen: ids(seen), stored: ids(stored) });
  const read = joinEvents(seen, ask.choices);
  if (!isDeepStrictEqual(read, joined)) wrong("its reader saw another text", { read, joined });
}

/** A stream that came to its end is the answer; one that broke off is its beginning. */
function checkChunks(
  wrong: Wrong,
  { ask, chunks, streamEnd }: LedgerEntry,
  final: FinalJob,
  stored: { event: string }[],
): void {
  if (streamEnd === "open") return;
  if (streamEnd === "error") {
    const isTold = final.status !== "completed" || stored.some(({ event }) => event === "restart");
    if (!isTold) wrong("its stream told of an error", chunks.at(-1));
    return;
  }
  const read = joinChunks(chunks, ask.choices);
  for (const [at, { text, reasoning, calls }] of read.entries()) {
    const said = choicesOf(final)[at];
    if (said === undefined) continue;
    const isWhole =
      text === said.text && reasoning === said.reasoning && isDeepStrictEqual(calls, said.calls);
    const isBeginning = said.text.startsWith(text) && said.reasoning.startsWith(reasoning);
    if (streamEnd === "done" ? !isWhole : !isBeginning)
      wrong("its stream gave another answer", { read: read[at], said });
  }
}
