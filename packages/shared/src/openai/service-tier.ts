import { z } from "zod";
import type { JobClass } from "../contract/job.ts";

/** OpenAI's tiers, in its own words. https://platform.openai.com/docs/api-reference/chat/create#service_tier */
const SERVICE_TIERS = ["auto", "default", "flex", "scale", "priority"] as const;

export const serviceTier = z.enum(SERVICE_TIERS).nullish();

/** The tier that a response reports: the one that was used, which is never `auto`. */
export type UsedTier = "default" | "flex";

/** `flex` buys patience: the job waits behind those somebody sits in front of, and yields its slot to them. */
export function classOfTier(tier: z.infer<typeof serviceTier>): JobClass {
  return tier === "flex" ? "batch" : "interactive";
}

export function tierOfClass(jobClass: JobClass): UsedTier {
  return jobClass === "batch" ? "flex" : "default";
}
