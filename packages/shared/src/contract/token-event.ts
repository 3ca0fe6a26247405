import { z } from "zod";
import { FINISH_REASONS, tokenLogprobSchema, toolCallDeltaSchema, usageSchema } from "./generation.ts";
import { jobStateSchema } from "./lifecycle.ts";

/** A token's probability in the model's own distribution, as natural logarithms; the likeliest others first. */
const tokenProbabilitySchema = z.object({
  logprob: z.number(),
  top: z.array(z.object({ token: z.int(), logprob: z.number() })),
});

/**
 * By which a later attempt goes on: the tokens of one choice that were read since its last delta. All text that they
 * decide is in the deltas up to this one, and no other.
 */
export const deltaProgressSchema = z.object({
  tokens: z.array(z.int()),
  /** How many of them were reasoning. */
  reasoningTokens: z.int(),
  /** Of the job's prompt: what usage needs, should the job end here. */
  promptTokens: z.int(),
  /** One for each token, where the request asks for log-probabilities. */
  probabilities: z.array(tokenProbabilitySchema.nullable()).optional(),
  /** The choice has ended; what was still held back is in the deltas. */
  ended: z.object({ finishReason: z.enum(FINISH_REASONS), completionTokens: z.int() }).optional(),
});
export type DeltaProgress = z.infer<typeof deltaProgressSchema>;

/**
 * The events of a job's stream, in the order they happen:
 *
 *   start (delta)* [restart (delta)*]* [error] end
 *
 * An attempt goes on where the one before it stopped, so that a reader notices nothing but the first number of the ids.
 * `restart`: this one could not; what came before belongs to a lost attempt; drop it. A job that failed says `error`, then `end`.
 * A job that ended before it ran says `end` alone. The `text`s of the first choice after the last restart
 * concatenate to its content; `tool_calls` are OpenAI's own deltas: what has one index is one call.
 */
export const tokenEventSchema = z.discriminatedUnion("type", [
  z.object({ type: z.literal("start"), data: z.object({ attempt: z.int() }) }),
  z.object({
    type: z.literal("delta"),
    data: z.object({
      /** Absent: the first choice, which every job has. */
      choice: z.int().positive().optional(),
      text: z.string().optional(),
      reasoning: z.string().optional(),
      tool_calls: z.array(toolCallDeltaSchema).optional(),
      /** Of the tokens of `text` in this delta, when the request asked. */
      logprobs: z.array(tokenLogprobSchema).optional(),
      /** How a choice after the first ended; the first one's stands in `end`. */
      finish_reason: z.enum(FINISH_REASONS).optional(),
      /** For our own workers; callers don't see it. */
      progress: deltaProgressSchema.optional(),
    }),
  }),
  z.object({ type: z.literal("restart"), data: z.object({ attempt: z.int() }) }),
  z.object({ type: z.literal("error"), data: z.object({ code: z.string(), message: z.string() }) }),
  z.object({
    type: z.literal("end"),
    data: z.object({
      status: jobStateSchema,
      usage: usageSchema.nullable(),
      finish_reason: z.enum(FINISH_REASONS).nullable(),
    }),
  }),
]);
export type TokenEvent = z.infer<typeof tokenEventSchema>;
export type DeltaEvent = Extract<TokenEvent, { type: "delta" }>;

/** `<attempt>-<seq>`: a Redis stream id, so order, fence and resume point are one thing. `seq` counts over all attempts. */
export interface NumberedTokenEvent {
  id: string;
  event: TokenEvent;
}

/** Compares two ids of one stream: negative when `a` is earlier. */
export function compareEventIds(a: string, b: string): number {
  const [attemptA = 0, seqA = 0] = a.split("-").map(Number);
  const [attemptB = 0, seqB = 0] = b.split("-").map(Number);
  return attemptA - attemptB || seqA - seqB;
}
