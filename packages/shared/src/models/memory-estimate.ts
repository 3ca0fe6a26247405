/** How the slots' keys and values are kept. */
export type KvType = "f16" | "q8_0";

/** Bytes of one number: q8_0 keeps 32 of them in 34 bytes (`block_q8_0` of llama.cpp's ggml-common.h). */
const KV_BYTES: Record<KvType, number> = { f16: 2, q8_0: 34 / 32 };

/** Buffers of the computation, and what a GPU's driver keeps for itself: a round gigabyte, a rule of thumb. */
export const OVERHEAD_BYTES = 1024 ** 3;

/** Attention's sizes, of which the memory of a slot follows. */
export interface AttentionShape {
  layers: number;
  kvHeads: number;
  headDim: number;
}

export interface MemoryNeeds {
  /** All files of the model. */
  weightsBytes: number;
  /** Of one token in one slot, both keys and values. */
  kvBytesPerTokenF16: number;
  /** Of each slot. */
  contextTokens: number;
  slots: number;
  kvType: KvType;
}

export interface MemoryEstimate {
  weightsBytes: number;
  kvBytes: number;
  overheadBytes: number;
  totalBytes: number;
}

export function kvBytesPerTokenF16({ layers, kvHeads, headDim }: AttentionShape): number {
  return layers * kvHeads * headDim * 2 * KV_BYTES.f16;
}

export function estimateMemory(needs: MemoryNeeds): MemoryEstimate {
  const { weightsBytes } = needs;
  const kvBytes = slotBytes(needs) * needs.slots;
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
  return Math.max(0, Math.floor(left / slotBytes(needs)));
}

function slotBytes({ kvBytesPerTokenF16, contextTokens, kvType }: Omit<MemoryNeeds, "slots">): number {
  return Math.ceil((kvBytesPerTokenF16 * contextTokens * KV_BYTES[kvType]) / KV_BYTES.f16);
}
