import { kvCacheBytes, type SlotSizes } from "./kv-cache.ts";

/** Buffers of the computation, and what a GPU's driver keeps for itself: a round gigabyte, a rule of thumb. */
export const OVERHEAD_BYTES = 1024 ** 3;

/** Attention's sizes, of which the memory of a slot follows. */
export interface AttentionShape {
  layers: number;
  kvHeads: number;
  headDim: number;
}

export interface MemoryNeeds extends SlotSizes {
  /** All files of the model. */
  weightsBytes: number;
  attention: AttentionShape;
}

export interface MemoryEstimate {
  weightsBytes: number;
  kvBytes: number;
  overheadBytes: number;
  totalBytes: number;
}

export function kvBytesPerTokenF16(attention: AttentionShape): number {
  return numbersPerToken(attention) * 2;
}

export function estimateMemory(needs: MemoryNeeds): MemoryEstimate {
  const { weightsBytes, attention } = needs;
  const kvBytes = kvCacheBytes(needs, numbersPerToken(attention));
  return {
    weightsBytes,
    kvBytes,
    overheadBytes: OVERHEAD_BYTES,
    totalBytes: weightsBytes + kvBytes + OVERHEAD_BYTES,
  };
}

/** How many slots fit beside the weights; 0 when not even the weights do. */
export function slotsThatFit(needs: Omit<MemoryNeeds, "slots">, budgetBytes: number): number {
  const left = budgetBytes - needs.weightsBytes - OVERHEAD_BYTES;
  const slotBytes = kvCacheBytes({ ...needs, slots: 1 }, numbersPerToken(needs.attention));
  return Math.max(0, Math.floor(left / slotBytes));
}

/** Keys and values. */
function numbersPerToken({ layers, kvHeads, headDim }: AttentionShape): number {
  return layers * kvHeads * headDim * 2;
}
