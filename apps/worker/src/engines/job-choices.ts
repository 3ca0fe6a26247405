import type { GeneratedChoice } from "@quern/shared/contract/generation";
import type { PublishedChoice } from "@quern/shared/contract/published-choice";
import type { Delta } from "../protocol/delta.ts";
import type { Generated, GenerationEvent, GenerationTimings } from "../protocol/engine-messages.ts";

/** One choice of a job, as an engine's loop generates it. */
export interface JobChoice {
  readonly id: string;
  /** Counted from 0. */
  readonly choice: number;
  readonly promptLength: number;
  /** What an earlier attempt has generated; null: nothing. */
  readonly spoken: { readonly ended: PublishedChoice["ended"] } | null;
}

/** What an engine's loop reports of the choices. */
export type LoopEvent<Choice extends JobChoice = JobChoice> =
  | { type: "deltas"; generation: Choice; deltas: Delta[] }
  | { type: "ended"; generation: Choice; ended: EndedGeneration }
  | { type: "failed"; generation: Choice; error: Error };

export interface EndedGeneration {
  /** `finishReason` null: it was cancelled. */
  choice: GeneratedChoice;
  completionTokens: number;
  reasoningTokens: number;
  cachedTokens: number;
  timings: GenerationTimings;
}

/** The choices of jobs that have not ended. */
export class JobChoices {
  readonly #jobs = new Map<string, { promptTokens: number; ended: (EndedGeneration | null)[] }>();

  begin(generations: readonly JobChoice[]): void {
    const [first] = generations;
    if (first === undefined) return;
    const ended = generations.map(() => null);
    this.#jobs.set(first.id, { promptTokens: first.promptLength, ended });
  }

  /** What a step's events mean for the jobs: one ends with the last of its choices, or fails with the first. */
  toJobEvents(events: readonly LoopEvent[], cancel: (id: string) => void): GenerationEvent[] {
    return events.flatMap((event) => this.#toJobEvents(event, cancel));
  }

  #toJobEvents(event: LoopEvent, cancel: (id: string) => void): GenerationEvent[] {
    const { id, choice } = event.generation;
    const job = this.#jobs.get(id);
    // It has failed already; what its other choices still say is nobody's.
    if (job === undefined) return [];
    switch (event.type) {
      case "deltas":
        return [{ type: "deltas", id, deltas: event.deltas }];
      case "failed": {
        this.#jobs.delete(id);
        cancel(id);
        const message = `the engine could not go on: ${event.error.message}`;
        return [{ type: "refused", id, error: { code: "engine_failed", message, param: null } }];
      }
      case "ended": {
        job.ended[choice] = event.ended;
        const finished = finishedDelta(event.generation, event.ended);
        const ended = job.ended.filter((one) => one !== null);
        if (ended.length < job.ended.length) return finished;
        this.#jobs.delete(id);
        return [...finished, { type: "generated", id, generated: combine(job.promptTokens, ended) }];
      }
    }
  }
}

/** The end of a job tells how its first choice ended; the others say it themselves. */
function finishedDelta(
  { id, choice, spoken, promptLength: promptTokens }: JobChoice,
  { choice: { finishReason }, completionTokens }: EndedGeneration,
): GenerationEvent[] {
  const toldBefore = spoken?.ended != null;
  if (choice === 0 || finishReason === null || toldBefore) return [];
  const progress = {
    tokens: [],
    reasoningTokens: 0,
    promptTokens,
    ended: { finishReason, completionTokens },
  };
  return [{ type: "deltas", id, deltas: [{ choice, finish_reason: finishReason, progress }] }];
}

function combine(promptTokens: number, ended: readonly EndedGeneration[]): Generated {
  const [first, ...others] = ended as [EndedGeneration, ...EndedGeneration[]];
  const firstTokens = ended.flatMap(({ timings }) => timings.firstTokenAtMs ?? []);
  const cut = ended.some(({ choice }) => choice.finishReason === null);
  return {
    result: {
      ...first.choice,
      // Cancelled is cancelled, also when the first choice had ended by itself.
      finishReason: cut ? null : first.choice.finishReason,
      alternatives: others.map(({ choice }) => choice),
    },
    usage: {
      promptTokens,
      completionTokens: ended.reduce((sum, { completionTokens }) => sum + completionTokens, 0),
      reasoningTokens: ended.reduce((sum, { reasoningTokens }) => sum + reasoningTokens, 0),
      // The other choices share the first one's prompt, which is counted once.
      cachedTokens: first.cachedTokens,
    },
    timings: {
      slotAtMs: Math.min(...ended.map(({ timings }) => timings.slotAtMs)),
      firstTokenAtMs: firstTokens.length === 0 ? null : Math.min(...firstTokens),
      endedAtMs: Math.max(...ended.map(({ timings }) => timings.endedAtMs)),
    },
  };
}
