import type { GgufHeader } from "@quern/shared/models/gguf-header";
import { headLength } from "./model-shape.ts";
import type { PlanRequest } from "./plan-memory.ts";

/**
 * Flash attention costs a CPU a fixed time for each token in the cache and each head, whatever the head's length. From
 * this length on it is made up for (`docs/performance.md`).
 */
const MIN_CPU_HEAD_LENGTH = 64;

/** What `auto` means here: llama.cpp's own choice, but off for small heads on a CPU, where the cache does not need it. */
export function settleFlashAttention(
  { flashAttention, kvType }: Pick<PlanRequest, "flashAttention" | "kvType">,
  header: GgufHeader,
  device: string,
): PlanRequest["flashAttention"] {
  const leftOpen = flashAttention === "auto" && kvType === "f16" && device === "cpu";
  return leftOpen && headLength(header) < MIN_CPU_HEAD_LENGTH ? "off" : flashAttention;
}
