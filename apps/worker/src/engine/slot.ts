import type { FinishReason } from "@quern/shared/contract/generation";
import type { LlamaContextSequence, Token } from "node-llama-cpp";
import type { GenerationOutput } from "./output/generation-output.ts";
import type { Generated } from "./protocol.ts";
import type { SamplerOptions } from "./sampling.ts";

/** A request whose prompt is read and fits: what waits for a slot. */
export interface Generation {
  readonly id: string;
  readonly promptTokens: readonly Token[];
  /** At least 1; what the caller allows and the context has room for. */
  readonly maxTokens: number;
  readonly sampler: SamplerOptions;
  readonly output: GenerationOutput;
  cancelled: boolean;
}

/** How a slot's job stands. Prompt tokens but the last are prefilled; the last one starts the decoding. */
export interface RunningGeneration {
  readonly generation: Generation;
  readonly slotAtMs: number;
  prefilledTokens: number;
  /** Set once the prompt is prefilled: yields a token a step. */
  decoder: AsyncGenerator<Token, void, undefined> | null;
  completionTokens: number;
  firstTokenAtMs: number | null;
  lastSentAtMs: number;
}

/** Capacity for one running job: a sequence of llama.cpp's context, with its KV cache. */
export interface Slot {
  readonly sequence: LlamaContextSequence;
  running: RunningGeneration | null;
}

export function beginGeneration(generation: Generation, nowMs: number): RunningGeneration {
  return {
    generation,
    slotAtMs: nowMs,
    prefilledTokens: 0,
    decoder: null,
    completionTokens: 0,
    firstTokenAtMs: null,
    lastSentAtMs: Number.NEGATIVE_INFINITY,
  };
}

export function tokensToPrefill({ generation, prefilledTokens }: RunningGeneration): readonly Token[] {
  return generation.promptTokens.slice(prefilledTokens, -1);
}

/**
 * Takes in one sampled token.
 * @returns why the generation ends with it; null: it goes on.
 */
export function acceptToken(
  running: RunningGeneration,
  token: Token,
  isEndOfGeneration: boolean,
  nowMs: number,
): FinishReason | null {
  const { output, maxTokens } = running.generation;
  running.completionTokens += 1;
  running.firstTokenAtMs ??= nowMs;
  if (!isEndOfGeneration) output.push(token);
  if (output.stopped) return "stop";
  if (!isEndOfGeneration && running.completionTokens < maxTokens) return null;
  output.end();
  if (!isEndOfGeneration && !output.stopped) return "length";
  return output.result().toolCalls.length > 0 ? "tool_calls" : "stop";
}

/** `finishReason` null: it was cancelled. */
export function generated(
  running: RunningGeneration,
  finishReason: FinishReason | null,
  nowMs: number,
): Generated {
  const { generation, completionTokens, slotAtMs, firstTokenAtMs } = running;
  return {
    result: { ...generation.output.result(), finishReason },
    usage: {
      promptTokens: generation.promptTokens.length,
      completionTokens,
      reasoningTokens: generation.output.reasoningTokens,
      cachedTokens: 0,
    },
    timings: { slotAtMs, firstTokenAtMs, endedAtMs: nowMs },
  };
}
