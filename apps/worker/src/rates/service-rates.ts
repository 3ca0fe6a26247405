import type { JobSize } from "@quern/shared/contract/estimate";
import type { Usage } from "@quern/shared/contract/generation";
import type { JobClass } from "@quern/shared/contract/job";
import type { Lengths, LoadRates, WorkerRates } from "@quern/shared/contract/rates";
import type { GenerationTimings } from "../protocol/engine-messages.ts";
import { DriftTracker } from "./drift-tracker.ts";
import { RecentValues } from "./recent-values.ts";

/** With this share of its slots busy a worker counts as full. */
const FULL_LOAD = 0.75;

/** A job that was completed, as its worker saw it. */
export interface ServedJob {
  class: JobClass;
  /** From its lease to its commit. */
  occupancyMs: number;
  /** Of the worker's slots, while it ran: from 0 to 1. */
  load: number;
  size: JobSize;
  choices: number;
  usage: Usage;
  timings: GenerationTimings;
}

/** What a worker knows of its own speed. Nothing here reads a clock or waits for anything. */
export class ServiceRates {
  readonly #loads = { light: new LoadMeasure(), full: new LoadMeasure() };
  readonly #lengths = { interactive: new LengthMeasure(), batch: new LengthMeasure() };
  readonly #dispatchMs = new RecentValues();
  readonly #drift = new DriftTracker();
  #served = 0;

  served(job: ServedJob): void {
    this.#served += 1;
    this.#loads[job.load >= FULL_LOAD ? "full" : "light"].add(job);
    this.#lengths[job.class].add(job);
  }

  /** A job's wait that had no other reason than the way from the gateway to here. */
  dispatched(waitMs: number): void {
    this.#dispatchMs.add(Math.max(waitMs, 0));
  }

  /** A job that had to wait for others began, before its estimated p90 or after it. */
  beganQueued(when: "in_time" | "late"): void {
    this.#drift.began(when);
  }

  /** null: nothing was served yet. */
  current(): WorkerRates | null {
    if (this.#served === 0) return null;
    return {
      light: this.#loads.light.current(),
      full: this.#loads.full.current(),
      lengths: { interactive: this.#lengths.interactive.current(), batch: this.#lengths.batch.current() },
      dispatchMs: this.#dispatchMs.moments(),
      drift: this.#drift.current,
    };
  }
}

class LoadMeasure {
  readonly #prefillMsPerToken = new RecentValues();
  readonly #decodeMsPerToken = new RecentValues();
  readonly #overheadMs = new RecentValues();
  readonly #occupancyMs = { interactive: new RecentValues(), batch: new RecentValues() };

  add({ class: jobClass, occupancyMs, choices, usage, timings }: ServedJob): void {
    const { slotAtMs, firstTokenAtMs, endedAtMs } = timings;
    const inEngineMs = endedAtMs - slotAtMs;
    this.#occupancyMs[jobClass].add(occupancyMs);
    this.#overheadMs.add(Math.max(occupancyMs - inEngineMs, 0));
    // Vectors have no first token: all of their time is for the texts.
    const prefillMs = firstTokenAtMs === null ? inEngineMs : firstTokenAtMs - slotAtMs;
    if (usage.promptTokens > 0) this.#prefillMsPerToken.add(prefillMs / usage.promptTokens);
    // The first token belongs to the prompt. Choices decode side by side.
    const decodedTokens = usage.completionTokens / choices - 1;
    if (firstTokenAtMs !== null && decodedTokens > 0) {
      this.#decodeMsPerToken.add((endedAtMs - firstTokenAtMs) / decodedTokens);
    }
  }

  current(): LoadRates | null {
    const overheadMs = this.#overheadMs.moments();
    if (overheadMs === null) return null;
    return {
      prefillMsPerToken: this.#prefillMsPerToken.moments(),
      decodeMsPerToken: this.#decodeMsPerToken.moments(),
      overheadMs,
      occupancyMs: {
        interactive: this.#occupancyMs.interactive.moments(),
        batch: this.#occupancyMs.batch.moments(),
      },
    };
  }
}

class LengthMeasure {
  readonly #tokensPerCharacter = new RecentValues();
  readonly #completionTokens = new RecentValues();
  readonly #completionShare = new RecentValues();

  add({ size, choices, usage }: ServedJob): void {
    if (size.promptCharacters > 0) this.#tokensPerCharacter.add(usage.promptTokens / size.promptCharacters);
    if (usage.completionTokens === 0) return;
    const completionTokens = usage.completionTokens / choices;
    this.#completionTokens.add(completionTokens);
    if (size.maxTokens !== null) this.#completionShare.add(completionTokens / size.maxTokens);
  }

  current(): Lengths | null {
    const lengths = {
      tokensPerCharacter: this.#tokensPerCharacter.moments(),
      completionTokens: this.#completionTokens.quantiles(),
      completionShare: this.#completionShare.quantiles(),
    };
    return Object.values(lengths).every((measured) => measured === null) ? null : lengths;
  }
}
