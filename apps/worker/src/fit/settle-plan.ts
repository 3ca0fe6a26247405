import { QuernError } from "@quern/shared/contract/errors";
import type { GgufHeader } from "@quern/shared/models/gguf-header";
import { describeChange, describePlan } from "./describe-plan.ts";
import { headLength, modelShape } from "./model-shape.ts";
import { fits, type Memories, type MemoryPlan, type PlanRequest, planMemory } from "./plan-memory.ts";
import { proposeFit } from "./propose-fit.ts";

/** null: the header does not say enough for a plan. */
export function planFor(header: GgufHeader, request: PlanRequest, memories: Memories): MemoryPlan | null {
  const shape = modelShape(header);
  return shape === null ? null : planMemory(shape, request, memories);
}

/** @throws QuernError `model_does_not_fit` with the plan, and with a change that makes it fit. */
export function requireFit(
  plan: MemoryPlan,
  header: GgufHeader,
  request: PlanRequest,
  memories: Memories,
): void {
  if (fits(plan)) return;
  throw new QuernError(
    "model_does_not_fit",
    `the model does not fit: ${describePlan(plan)}. ${describeCure(plan, header, request, memories)}`,
  );
}

/** What to do about a plan that does not fit. */
export function describeCure(
  plan: MemoryPlan,
  header: GgufHeader,
  request: PlanRequest,
  memories: Memories,
): string {
  const shape = modelShape(header);
  const proposal = shape && proposeFit(shape, request, memories, kvTypesOf(header));
  if (!proposal) {
    const cpu = memories.gpu === null ? "" : ", or compute on the CPU (--gpu cpu)";
    return `Take a smaller model, a stronger quantization, or a device with more memory${cpu}`;
  }
  return `It fits with ${describeChange(plan, proposal)}: ${describePlan(proposal)}`;
}

/** llama.cpp quantizes the cache in blocks of 32 numbers, none of which may span two heads. */
export function kvTypesOf(header: GgufHeader): PlanRequest["kvType"][] {
  return headLength(header) % 32 === 0 ? ["f16", "q8_0"] : ["f16"];
}
