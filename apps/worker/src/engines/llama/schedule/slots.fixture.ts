import type { Token } from "node-llama-cpp";
import { GREEDY } from "../driver/driver.fixture.ts";
import type { Sampler } from "../driver/driver.ts";
import type { Generation } from "../generation/generation.ts";
import { RunningGeneration } from "../generation/running-generation.ts";
import { emptySlot, type Slot } from "../generation/slot.ts";
import { GenerationOutput } from "../output/generation-output.ts";

/** Decisions never sample. */
const NO_SAMPLER: Sampler = { constrain: () => {}, dispose: () => {} };

/** `closing`: how many tokens are forced behind the first one that is sampled. */
export function generationOf(inputTokens: readonly number[], cacheScope = "tenant", closing = 0): Generation {
  return {
    id: "job",
    choice: 0,
    order: { rank: 0, leaveFree: 0 },
    isFollowed: true,
    inputTokens: inputTokens as Token[],
    promptLength: inputTokens.length,
    spoken: null,
    cacheScope,
    maxTokens: 1000,
    sampling: GREEDY,
    grammar: null,
    thinkingBudget: closing === 0 ? null : { tokens: 1, closing: Array<Token>(closing).fill(1 as Token) },
    topLogprobs: null,
    output: new GenerationOutput({
      begin: closing === 0 ? "answering" : "thinking",
      tools: [],
      toolCallForm: "hermes",
      toolCallId: (index) => `call_${index}`,
      stop: [],
      detokenize: (tokens) => "x".repeat(tokens.length),
      tokenBytes: null,
      choice: 0,
    }),
    cancelled: false,
  };
}

export interface SlotState {
  phase: "idle" | "waiting" | "prefilling" | "decoding";
  /** Tokens that the next feeds have to bring. */
  pending?: number;
  cached?: readonly number[];
  cacheScope?: string | null;
  /** When it got its slot, or was used last. */
  sinceMs?: number;
  /** The whole prompt, where it matters; the cache holds its beginning. */
  prompt?: readonly number[];
}

export function slotsOf(states: readonly SlotState[]): Slot[] {
  return states.map((state, index) => slotOf(state, index));
}

function slotOf(
  { phase, pending = 1, cached = [], cacheScope = null, sinceMs = 0, prompt }: SlotState,
  index: number,
) {
  const slot: Slot = {
    ...emptySlot(index),
    cached: [...cached] as Token[],
    cacheScope,
    lastUsedAtMs: sinceMs,
  };
  if (phase === "idle") return slot;
  const rest = Array.from({ length: phase === "decoding" ? 1 : pending }, (_, at) => at);
  const closing = phase === "decoding" ? pending - 1 : 0;
  const generation = generationOf(prompt ?? [...cached, ...rest], cacheScope ?? "tenant", closing);
  const running = new RunningGeneration(generation, NO_SAMPLER, sinceMs);
  running.startBehind(cached.length);
  slot.running = running;
  if (phase === "waiting") running.awaited = { slot: 0, running, tokens: 1 };
  if (phase === "decoding") {
    running.fed(running.pending.length);
    running.accept(1 as Token, null, false, 1);
  }
  return slot;
}
