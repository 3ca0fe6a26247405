import { z } from "zod";

/** What people want a model for. */
export const PURPOSES = [
  "general",
  "reasoning",
  "maths",
  "coding",
  "multilingual",
  "agent",
  "embedding",
] as const;
export type Purpose = (typeof PURPOSES)[number];

/** From "can do it" to "made for it". */
const LEVELS = ["fair", "good", "best"] as const;
export type Level = (typeof LEVELS)[number];

export const goodForSchema = z.partialRecord(
  z.enum(PURPOSES),
  z.strictObject({ level: z.enum(LEVELS), reason: z.string().min(1).max(80) }),
);
export type GoodFor = z.infer<typeof goodForSchema>;
