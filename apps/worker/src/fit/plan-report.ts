import type { JobError } from "@quern/shared/contract/job";
import type { MemoryPlan } from "./plan-memory.ts";

/** What the child that looks at a device answers. `cure`: what to change; null: the model fits. */
export type PlanReport =
  | { type: "planned"; plan: MemoryPlan; cure: string | null }
  | { type: "failed"; error: JobError };
