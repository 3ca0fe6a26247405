import type { MetadataValue } from "./gguf-writer.ts";
import type { TensorType } from "./quantize.ts";

export const ARCHITECTURES = ["qwen2", "qwen2moe", "qwen3", "qwen3moe"] as const;
export type Architecture = (typeof ARCHITECTURES)[number];

/** The sizes of a model. `expert…` fields matter to the moe architectures only. */
export interface ModelShape {
  architecture: Architecture;
  layers: number;
  hidden: number;
  feedForward: number;
  heads: number;
  kvHeads: number;
  /** qwen2 has no say in it: there it is hidden / heads. */
  headDim: number;
  experts: number;
  expertsUsed: number;
  expertFeedForward: number;
  contextLength: number;
  /** Output head = embeddings. */
  tied: boolean;
}

/** About half a megabyte in F32. */
export const TINY_SHAPE: ModelShape = {
  architecture: "qwen3",
  layers: 2,
  hidden: 64,
  feedForward: 128,
  heads: 4,
  kvHeads: 2,
  headDim: 16,
  experts: 8,
  expertsUsed: 2,
  expertFeedForward: 32,
  contextLength: 4096,
  // A tied head with random embeddings mostly repeats its last token.
  tied: false,
};

/** The exact shape of Qwen3-0.6B, for measurements. */
export const QWEN3_0_6B_SHAPE: ModelShape = {
  ...TINY_SHAPE,
  layers: 28,
  hidden: 1024,
  feedForward: 3072,
  heads: 16,
  kvHeads: 8,
  headDim: 128,
  contextLength: 40_960,
  tied: true,
};

/** A mixture of experts that computes as many weights for a token as Qwen3-0.6B does: 8 experts of 384 for 3072. */
export const QWEN3_MOE_0_6B_ACTIVE_SHAPE: ModelShape = {
  ...QWEN3_0_6B_SHAPE,
  architecture: "qwen3moe",
  experts: 32,
  expertsUsed: 8,
  expertFeedForward: 384,
};
export const QWEN3_VOCABULARY = 151_936;

export function architectureMetadata(shape: ModelShape): Map<string, MetadataValue> {
  const { architecture } = shape;
  const metadata = new Map<string, MetadataValue>();
  const put = (key: string, value: MetadataValue) => metadata.set(`${architecture}.${key}`, value);
  put("block_count", { uint32: shape.layers });
  put("context_length", { uint32: shape.contextLength });
  put("embedding_length", { uint32: shape.hidden });
  put("feed_forward_length", { uint32: shape.feedForward });
  put("attention.head_count", { uint32: shape.heads });
  put("attention.head_count_kv", { uint32: shape.kvHeads });
  put("attention.layer_norm_rms_epsilon", { float32: 1e-6 });
  put("rope.freq_base", { float32: 1e6 });
  if (isQwen3(architecture)) {
    put("attention.key_length", { uint32: shape.headDim });
    put("attention.value_length", { uint32: shape.headDim });
  }
  if (isMoe(architecture)) {
    put("expert_count", { uint32: shape.experts });
    put("expert_used_count", { uint32: shape.expertsUsed });
    put("expert_feed_forward_length", { uint32: shape.expertFeedForward });
  }
  if (architecture === "qwen2moe") put("expert_shared_feed_forward_length", { uint32: shape.feedForward });
  return metadata;
}

/** A tensor's place in the network; who makes a model decides what each kind is filled with. */
export interface TensorPlan {
  name: string;
  shape: number[];
  kind: "embedding" | "output" | "norm" | "bias" | "router" | "matrix";
}

/** In llama.cpp's names (`llama-arch.cpp`). A matrix's first length is what goes into it. */
export function planTensors(shape: ModelShape, vocabulary: number): TensorPlan[] {
  const { hidden } = shape;
  const plans: TensorPlan[] = [
    { name: "token_embd.weight", shape: [hidden, vocabulary], kind: "embedding" },
    { name: "output_norm.weight", shape: [hidden], kind: "norm" },
  ];
  if (!shape.tied) plans.push({ name: "output.weight", shape: [hidden, vocabulary], kind: "output" });
  for (let layer = 0; layer < shape.layers; layer++) {
    const block = [...planAttention(shape), ...planFeedForward(shape)];
    plans.push(...block.map((plan) => ({ ...plan, name: `blk.${layer}.${plan.name}` })));
  }
  return plans;
}

function planAttention({ architecture, hidden, heads, kvHeads, ...shape }: ModelShape): TensorPlan[] {
  const headDim = isQwen3(architecture) ? shape.headDim : hidden / heads;
  const plans: TensorPlan[] = [
    { name: "attn_norm.weight", shape: [hidden], kind: "norm" },
    { name: "attn_q.weight", shape: [hidden, heads * headDim], kind: "matrix" },
    { name: "attn_k.weight", shape: [hidden, kvHeads * headDim], kind: "matrix" },
    { name: "attn_v.weight", shape: [hidden, kvHeads * headDim], kind: "matrix" },
    { name: "attn_output.weight", shape: [heads * headDim, hidden], kind: "matrix" },
  ];
  if (isQwen3(architecture)) {
    plans.push({ name: "attn_q_norm.weight", shape: [headDim], kind: "norm" });
    plans.push({ name: "attn_k_norm.weight", shape: [headDim], kind: "norm" });
  } else {
    plans.push({ name: "attn_q.bias", shape: [heads * headDim], kind: "bias" });
    plans.push({ name: "attn_k.bias", shape: [kvHeads * headDim], kind: "bias" });
    plans.push({ name: "attn_v.bias", shape: [kvHeads * headDim], kind: "bias" });
  }
  return plans;
}

function planFeedForward({
  architecture,
  hidden,
  feedForward,
  experts,
  expertFeedForward,
}: ModelShape): TensorPlan[] {
  const norm: TensorPlan = { name: "ffn_norm.weight", shape: [hidden], kind: "norm" };
  const dense = (suffix: string): TensorPlan[] => [
    { name: `ffn_gate${suffix}.weight`, shape: [hidden, feedForward], kind: "matrix" },
    { name: `ffn_up${suffix}.weight`, shape: [hidden, feedForward], kind: "matrix" },
    { name: `ffn_down${suffix}.weight`, shape: [feedForward, hidden], kind: "matrix" },
  ];
  if (!isMoe(architecture)) return [norm, ...dense("")];
  const sparse: TensorPlan[] = [
    { name: "ffn_gate_inp.weight", shape: [hidden, experts], kind: "router" },
    { name: "ffn_gate_exps.weight", shape: [hidden, expertFeedForward, experts], kind: "matrix" },
    { name: "ffn_up_exps.weight", shape: [hidden, expertFeedForward, experts], kind: "matrix" },
    { name: "ffn_down_exps.weight", shape: [expertFeedForward, hidden, experts], kind: "matrix" },
  ];
  if (architecture === "qwen3moe") return [norm, ...sparse];
  return [
    norm,
    ...sparse,
    { name: "ffn_gate_inp_shexp.weight", shape: [hidden], kind: "router" },
    ...dense("_shexp"),
  ];
}

/** Only big matrices are worth quantizing, and only rows of whole blocks can be. */
export function tensorTypeOf(plan: TensorPlan, weights: TensorType): TensorType {
  const quantizable =
    ["embedding", "output", "matrix"].includes(plan.kind) && (plan.shape[0] ?? 0) % 32 === 0;
  return quantizable ? weights : "f32";
}

function isQwen3(architecture: Architecture): boolean {
  return architecture.startsWith("qwen3");
}

function isMoe(architecture: Architecture): boolean {
  return architecture.endsWith("moe");
}
