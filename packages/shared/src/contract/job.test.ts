import { expect, test } from "vitest";
import { metadataSchema } from "./job.ts";

test("metadata keeps to OpenAI's limits: 16 pairs, keys of 64 and values of 512 characters", () => {
  const pairs = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, "x"]));
  expect(metadataSchema.safeParse(pairs(16)).success).toBe(true);
  expect(metadataSchema.safeParse(pairs(17)).success).toBe(false);
  expect(metadataSchema.safeParse({ ["k".repeat(64)]: "x".repeat(512) }).success).toBe(true);
  expect(metadataSchema.safeParse({ ["k".repeat(65)]: "x" }).success).toBe(false);
  expect(metadataSchema.safeParse({ k: "x".repeat(513) }).success).toBe(false);
});
