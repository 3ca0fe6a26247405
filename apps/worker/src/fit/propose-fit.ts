import { CONTEXT_STEP_TOKENS } from "@quern/shared/models/kv-cache";
import type { ModelShape } from "./model-shape.ts";
import { fits, type Memories, type MemoryPlan, type PlanRequest, planMemory } from "./plan-memory.ts";

/** Less context than this is of no use to a conversation. */
const LEAST_CONTEXT_TOKENS = 1_024;

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
    most(1, request.slots, (slots) => plan({ ...change, slots }));
  const { contextTokens } = request;
  const least = Math.min(LEAST_CONTEXT_TOKENS, contextTokens);
  const contextWith = (change: Partial<PlanRequest>) =>
    most(steps(least), steps(contextTokens), (count) =>
      plan({ ...change, slots: 1, contextTokens: Math.min(count * CONTEXT_STEP_TOKENS, contextTokens) }),
    );

  const quantized: Partial<PlanRequest> = { kvType: "q8_0" };
  const mayQuantize = kvTypes.includes("q8_0") && request.flashAttention !== "off";
  const withFewerLayers = (change: Partial<PlanRequest>) =>
    memories.gpu === null
      ? null
      : mostLayers(shape.blocks.length, (gpuLayers) => plan({ ...change, gpuLayers }));
  return (
    slotsWith({}) ??
    contextWith({}) ??
    (mayQuantize ? (slotsWith(quantized) ?? contextWith(quantized)) : null) ??
    withFewerLayers({}) ??
    withFewerLayers({ slots: 1 }) ??
    withFewerLayers({ slots: 1, contextTokens: least })
  );
}

/** The plan with the highest value that fits. What fits with more fits with less too, so halving finds it. */
function most(lowest: number, highest: number, planFor: (value: number) => MemoryPlan): MemoryPlan | null {
  let best: MemoryPlan | null = null;
  let [from, to] = [lowest, highest];
  while (from <= to) {
    const middle = Math.floor((from + to) / 2);
    const plan = planFor(middle);
    if (fits(plan)) [best, from] = [plan, middle + 1];
    else to = middle - 1;
  }
  return best;
}

/** The plan with most layers on the GPU that fits. Fewer of them need more RAM, so each number may fit or not. */
function mostLayers(blocks: number, planFor: (layers: number) => MemoryPlan): MemoryPlan | null {
  for (let layers = blocks; layers >= 0; layers--) {
    const plan = planFor(layers);
    if (fits(plan)) return plan;
  }
  return null;
}

function steps(contextTokens: number): number {
  return Math.ceil(contextTokens / CONTEXT_STEP_TOKENS);
}
