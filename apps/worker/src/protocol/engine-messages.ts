import type { EmbeddingResult } from "@quern/shared/contract/embedding";
import type { GenerationResult, Usage } from "@quern/shared/contract/generation";
import type { JobError } from "@quern/shared/contract/job";
import type { PublishedChoice } from "@quern/shared/contract/published-choice";
import type { Delta } from "./delta.ts";
import type { EngineOptions, LoadedModelFacts } from "./engine-options.ts";
import type { EntryOrder, Occupancy } from "./entry-order.ts";
import type { PreparedEmbedding, PreparedGeneration } from "./prepared-request.ts";

/** What a worker and its engine child say to each other over IPC. Both come from one checkout: no versions, no checks. */

/** A prepared job on its way into the engine. */
export interface EngineRequest {
  id: string;
  order: EntryOrder;
  /** Whether somebody may read the answer as it is written; otherwise only another attempt does, which resumes behind it. */
  isFollowed: boolean;
  prepared: PreparedGeneration;
  traceparent: string | null;
  /** Requests of one scope may reuse each other's prompt caches. */
  cacheScope: string;
  /** What earlier attempts have published: the engine resumes behind it, or reports that it can't (`restarted`). */
  published: PublishedChoice[];
}

/** A request for vectors. It takes no slot and leaves no cache behind. */
export interface EmbeddingCommand {
  id: string;
  prepared: PreparedEmbedding;
  traceparent: string | null;
}

/** Unix milliseconds with fractions. */
export interface GenerationTimings {
  slotAtMs: number;
  firstTokenAtMs: number | null;
  endedAtMs: number;
}

/** A generation that ended by itself or was cancelled (then `finishReason` is null). */
export interface Generated {
  result: GenerationResult;
  usage: Usage;
  timings: GenerationTimings;
}

/** All vectors, or none when it was cancelled; the usage tells how far it came. */
export interface Embedded {
  result: EmbeddingResult | null;
  usage: Usage;
  timings: GenerationTimings;
}

export type EngineCommand =
  /** `warmPrefixes`: tokens whose caches are computed before the engine is ready, and may serve every scope. */
  | { type: "load"; options: EngineOptions; warmPrefixes: number[][] }
  | ({ type: "generate" } & EngineRequest)
  | ({ type: "embed" } & EmbeddingCommand)
  | { type: "cancel"; id: string }
  | { type: "close" };

export type GenerationEvent =
  /** What was published is void; the deltas begin anew. */
  | { type: "restarted"; id: string }
  | { type: "deltas"; id: string; deltas: Delta[] }
  | { type: "generated"; id: string; generated: Generated }
  | { type: "embedded"; id: string; embedded: Embedded }
  | { type: "refused"; id: string; error: JobError };

/**
 * Sent after a step that brought something about, whenever the occupancy changes (before the step that first
 * decodes a request, so that a death in that step is laid to the right requests), and once a second while steps are made.
 */
export interface StepReport {
  events: GenerationEvent[];
  /** null: as it was in the last report. */
  occupancy: Occupancy | null;
  /** How long the step that begins now should take; null: as long as others did. */
  nextStepMs: number | null;
}

export type EngineReport =
  | { type: "loaded"; facts: LoadedModelFacts }
  | { type: "load_failed"; error: JobError }
  | ({ type: "stepped" } & StepReport)
  /** Vectors are made beside the steps. No events: one more input of a long request is done. */
  | { type: "embedding"; events: GenerationEvent[] };
