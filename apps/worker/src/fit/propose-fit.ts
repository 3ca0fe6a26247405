import type { ModelShape } from "./model-shape.ts";
import {
  fits,
  type Memories,
  type MemoryPlan,
  type PlanRequest,
  paddedContextTokens,
  planMemory,
} from "./plan-memory.ts";

/** Less context than this is of no use to a conversation. */
const LEAST_CONTEXT_TOKENS = 1_024;
const CONTEXT_STEP_TOKENS = 256;

/**
 * The least harmful change with which the model fits: fewer slots (jobs wait longer), else also less context (long
 * prompts are refused), else also a q8_0 cache (slightly worse answers), else fewer layers on the GPU (slower).
 * null: nothing helps.
 */
export function proposeFit(
  shape: ModelShape,
  request: PlanRequest,
  memories: Memories,
  kvTypes: readonly PlanRequest["kvType"][],
): MemoryPlan | null {
  const plan = (change: Partial<PlanRequest>) => planMemory(shape, { ...request, ...change }, memories);
  const slotsWith = (change: Partial<PlanRequest>) =>
    most(1, request.slots, 1, (slots) => plan({ ...change, slots }));
  const least = Math.min(LEAST_CONTEXT_TOKENS, request.contextTokens);
  const contextWith = (change: Partial<PlanRequest>) =>
    most(least, paddedContextTokens(request.contextTokens), CONTEXT_STEP_TOKENS, (tokens) =>
      plan({ ...change, slots: 1, contextTokens: Math.min(tokens, request.contextTokens) }),
    );

  const quantized: Partial<PlanRequest> = { kvType: "q8_0" };
  const mayQuantize = kvTypes.includes("q8_0") && request.flashAttention !== "off";
  const withFewerLayers = (change: Partial<PlanRequest>) =>
    memories.gpu === null
      ? null
      : most(0, shape.blocks.length, 1, (gpuLayers) => plan({ ...change, gpuLayers }));
  return (
    slotsWith({}) ??
    contextWith({}) ??
    (mayQuantize ? (slotsWith(quantized) ?? contextWith(quantized)) : null) ??
    withFewerLayers({}) ??
    withFewerLayers({ slots: 1 }) ??
    withFewerLayers({ slots: 1, contextTokens: least })
  );
}

/** The plan with the highest value that fits, tried from the top. */
function most(
  lowest: number,
  highest: number,
  step: number,
  planFor: (value: number) => MemoryPlan,
): MemoryPlan | null {
  for (let value = highest; value >= lowest; value -= step) {
    const plan = planFor(value);
    if (fits(plan)) return plan;
  }
  return null;
}
