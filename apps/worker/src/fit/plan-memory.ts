import type { CatalogueEntry } from "@quern/shared/models/catalogue-schema";
import { kvCacheBytes, paddedContextTokens, type SlotSizes } from "@quern/shared/models/kv-cache";
import type { BlockShape, ModelShape } from "./model-shape.ts";

/** What of a model's memory can be chosen. */
export interface PlanRequest extends SlotSizes {
  flashAttention: CatalogueEntry["flashAttention"];
  /** Layers on the GPU, the output head being one; `max`: all, `auto`: as many as fit. Without a GPU it is of no matter. */
  gpuLayers: CatalogueEntry["gpuLayers"];
  /** Of all LoRA adapters together. */
  adapterBytes: number;
}

/** One memory, as it is before anything is loaded. */
export interface FreeMemory {
  /** `RAM`, `cuda:0`, `vulkan`, … */
  name: string;
  freeBytes: number;
  /** Never planned with: it is for what no plan knows (driver, allocator, other processes). */
  keptBackBytes: number;
}

export interface Memories {
  ram: FreeMemory;
  /** null: the CPU computes. */
  gpu: FreeMemory | null;
}

/** What of the model lies in one memory. */
export interface MemoryShare extends FreeMemory {
  weightsBytes: number;
  kvBytes: number;
  computeBytes: number;
}

export interface MemoryPlan extends Omit<PlanRequest, "gpuLayers"> {
  gpuLayers: number;
  /** The computing device's first. */
  shares: readonly MemoryShare[];
}

/** Tokens of one decode call: enough for a step over many slots, or one chunk of a prompt. */
export const BATCH_TOKENS = 512;

const F32_BYTES = 4;
const F16_BYTES = 2;

/** Where everything goes and how large it is; whether it fits is for `fits` to say. No I/O. */
export function planMemory(shape: ModelShape, request: PlanRequest, memories: Memories): MemoryPlan {
  const all = shape.blocks.length + 1;
  const { gpuLayers } = request;
  const plan = (layers: number) => planWith(shape, request, memories, layers);
  if (memories.gpu === null) return plan(0);
  if (gpuLayers !== "auto") return plan(gpuLayers === "max" ? all : Math.min(gpuLayers, all));
  for (let layers = all; layers > 0; layers--) {
    const candidate = plan(layers);
    if (fits(candidate)) return candidate;
  }
  return plan(0);
}

export function neededBytes({ weightsBytes, kvBytes, computeBytes }: MemoryShare): number {
  return weightsBytes + kvBytes + computeBytes;
}

/** Negative: so much is missing. */
export function spareBytes(share: MemoryShare): number {
  return share.freeBytes - share.keptBackBytes - neededBytes(share);
}

export function fits({ shares }: MemoryPlan): boolean {
  return shares.every((share) => spareBytes(share) >= 0);
}

function planWith(
  shape: ModelShape,
  request: PlanRequest,
  memories: Memories,
  gpuLayers: number,
): MemoryPlan {
  // llama.cpp offloads from the end: the output head first, then the last blocks.
  const firstOnGpu = Math.min(shape.blocks.length, shape.blocks.length + 1 - gpuLayers);
  const onCpu = shape.blocks.slice(0, firstOnGpu);
  const onGpu = shape.blocks.slice(firstOnGpu);
  const { gpu, ram } = memories;
  const buffers = computeBuffers(shape, request);
  const { slots, contextTokens, kvType, flashAttention, adapterBytes } = request;
  const settled = { slots, contextTokens, kvType, flashAttention, adapterBytes, gpuLayers };

  const ownHead = shape.head === "own" ? shape.outputBytes : shape.outputBytes - shape.inputBytes;
  if (gpu === null) {
    const share: MemoryShare = {
      ...ram,
      weightsBytes: shape.inputBytes + weightsOf(onCpu) + ownHead + adapterBytes,
      kvBytes: kvBytesOf(onCpu, request),
      computeBytes: Math.max(buffers.block, buffers.head) + buffers.output,
    };
    return { ...settled, shares: [share] };
  }
  // The GPU computes prompts also with what lies in RAM: matrices are copied over, one at a time, with what they multiply.
  const copies = onCpu.length > 0 ? shape.largestTensorBytes + buffers.rows : 0;
  const headOnGpu = gpuLayers > 0;
  const gpuShare: MemoryShare = {
    ...gpu,
    weightsBytes: weightsOf(onGpu) + (headOnGpu ? shape.outputBytes : 0) + adapterBytes,
    kvBytes: kvBytesOf(onGpu, request),
    computeBytes: Math.max(buffers.block, buffers.head) + copies,
  };
  const ramShare: MemoryShare = {
    ...ram,
    weightsBytes: shape.inputBytes + weightsOf(onCpu) + (headOnGpu ? 0 : ownHead),
    kvBytes: kvBytesOf(onCpu, request),
    computeBytes: buffers.input + buffers.output,
  };
  return { ...settled, shares: [gpuShare, ramShare] };
}

/**
 * Bytes of the buffers that a decode of BATCH_TOKENS needs. What lives at the same time was read off llama.cpp's graphs
 * for Qwen and checked against the sizes that it reports (plan-memory.llama.test.ts).
 */
function computeBuffers(
  shape: ModelShape,
  { slots, contextTokens, flashAttention }: PlanRequest,
): { input: number; block: number; head: number; output: number; rows: number } {
  const { hidden, vocabulary, queryWidth, experts, heads } = shape;
  const context = paddedContextTokens(contextTokens);
  const tokens = Math.min(BATCH_TOKENS, slots * context);
  const row = tokens * F32_BYTES;
  const unfused = flashAttention === "off";
  const mask = context * tokens * (unfused ? F32_BYTES : F16_BYTES);
  const kvWidth = Math.max(0, ...shape.blocks.map((block) => block.kvWidth));
  const attention = row * (2 * hidden + (unfused ? 3 : 2) * queryWidth + kvWidth);
  const scores = unfused ? context * row * heads : 0;
  const expertRows =
    experts === null
      ? 0
      : experts.used * Math.max(2 * hidden + experts.feedForwardWidth, 3 * experts.feedForwardWidth);
  const feedForward = row * (4 * hidden + Math.max(3 * shape.feedForwardWidth, expertRows));
  return {
    input: mask * (unfused ? 1.25 : 1) + row * (hidden + Math.max(hidden, queryWidth)),
    block: mask + Math.max(attention + scores, feedForward),
    head: row * (vocabulary + 2 * hidden),
    output: vocabulary * slots * F32_BYTES,
    rows: row * 2 * hidden,
  };
}

function weightsOf(blocks: readonly BlockShape[]): number {
  return blocks.reduce((sum, { weightsBytes }) => sum + weightsBytes, 0);
}

function kvBytesOf(blocks: readonly BlockShape[], request: PlanRequest): number {
  return kvCacheBytes(
    request,
    blocks.reduce((sum, { kvWidth }) => sum + kvWidth, 0),
  );
}
