import {
  type ModelShape,
  planTensors,
  QWEN3_0_6B_SHAPE,
  QWEN3_MOE_0_6B_ACTIVE_SHAPE,
  QWEN3_VOCABULARY,
  type TensorPlan,
  TINY_SHAPE,
  tensorTypeOf,
} from "./architecture.ts";
import { type GgufContent, type MetadataValue, type Tensor, writeGguf } from "./gguf-writer.ts";
import { modelMetadata } from "./model-metadata.ts";
import type { TensorType } from "./quantize.ts";
import { RandomSource } from "./random-source.ts";
import { createTokenizer } from "./tokenizer.ts";

/** What is absent is as in TINY_SHAPE. */
export interface RandomModelOptions extends Partial<ModelShape> {
  name?: string;
  seed?: number;
  weights?: TensorType;
  /** Tokens, unused ones included; never fewer than the tokenizer needs. */
  vocabulary?: number;
  /** Beside what every model's file says, and instead of it. */
  metadata?: ReadonlyMap<string, MetadataValue>;
}

/** A valid model that says reproducible nonsense. */
export async function writeRandomModel(path: string, options: RandomModelOptions = {}): Promise<void> {
  await writeGguf(path, randomModel(options));
}

/** What a file of it holds. */
export function randomModel(options: RandomModelOptions): GgufContent {
  const { name, seed = 1, weights = "f32", vocabulary = 0, metadata = new Map(), ...given } = options;
  const shape: ModelShape = { ...TINY_SHAPE, ...given };
  const tokenizer = createTokenizer({ size: vocabulary });
  const random = new RandomSource(seed);
  return {
    metadata: new Map([
      ...modelMetadata(name ?? `random-${shape.architecture}`, shape, tokenizer, weights),
      ...metadata,
    ]),
    tensors: planTensors(shape, tokenizer.size).map(
      (plan): Tensor => ({
        name: plan.name,
        shape: plan.shape,
        type: tensorTypeOf(plan, weights),
        fill: randomFill(plan, random),
      }),
    ),
  };
}

/** Options for a file of Qwen3-0.6B's exact size: what it costs to run is real, what it says isn't. 341 MB in Q4_0. */
export const QWEN3_0_6B: RandomModelOptions = {
  ...QWEN3_0_6B_SHAPE,
  name: "random-qwen3-0.6b",
  weights: "q4_0",
  vocabulary: QWEN3_VOCABULARY,
};

/** Options for a mixture of experts that costs per token what QWEN3_0_6B costs. 789 MB in Q4_0. */
export const QWEN3_MOE_0_6B_ACTIVE: RandomModelOptions = {
  ...QWEN3_MOE_0_6B_ACTIVE_SHAPE,
  name: "random-qwen3moe-0.6b-active",
  weights: "q4_0",
  vocabulary: QWEN3_VOCABULARY,
};

function randomFill(plan: TensorPlan, random: RandomSource): Tensor["fill"] {
  if (plan.kind === "norm") return (into) => into.fill(1);
  const deviation = standardDeviation(plan);
  return (into) => {
    for (let i = 0; i < into.length; i++) into[i] = random.weight(deviation);
  };
}

/** Such that activations neither vanish nor explode, and the next token isn't always the same. */
function standardDeviation(plan: TensorPlan): number {
  switch (plan.kind) {
    case "embedding":
    case "output":
      return 0.3;
    case "bias":
      return 0.02;
    case "router":
      return 1;
    default:
      return 1 / Math.sqrt(plan.shape[0] ?? 1);
  }
}
