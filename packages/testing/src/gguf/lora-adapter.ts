import { type ModelShape, planTensors, TINY_SHAPE } from "./architecture.ts";
import { type Tensor, writeGguf } from "./gguf-writer.ts";
import { RandomSource } from "./random-source.ts";

interface LoraAdapterOptions extends Partial<ModelShape> {
  seed?: number;
  /** Divided by the rank it is what the adapter's product is multiplied with. */
  alpha?: number;
}

const RANK = 4;
/** Large enough to turn every query around: the output changes with the first token. */
const DEVIATION = 1;

/**
 * A LoRA adapter for a model of the given shape (what is absent is as in TINY_SHAPE): random changes of every block's
 * query matrix. Keys as llama.cpp's `convert_lora_to_gguf.py` writes them.
 */
export async function writeLoraAdapter(path: string, options: LoraAdapterOptions = {}): Promise<void> {
  const { seed = 1, alpha = RANK, ...given } = options;
  const shape: ModelShape = { ...TINY_SHAPE, ...given };
  const random = new RandomSource(seed);
  const queries = planTensors(shape, 0).filter(({ name }) => name.endsWith(".attn_q.weight"));
  await writeGguf(path, {
    metadata: new Map([
      ["general.architecture", { string: shape.architecture }],
      ["general.type", { string: "adapter" }],
      ["general.name", { string: "random-lora" }],
      ["adapter.type", { string: "lora" }],
      ["adapter.lora.alpha", { float32: alpha }],
    ]),
    tensors: queries.flatMap(({ name, shape: [width = 0, outputs = 0] }): Tensor[] => [
      randomTensor(`${name}.lora_a`, [width, RANK], random),
      randomTensor(`${name}.lora_b`, [RANK, outputs], random),
    ]),
  });
}

function randomTensor(name: string, shape: number[], random: RandomSource): Tensor {
  return {
    name,
    shape,
    type: "f32",
    fill: (into) => {
      for (let i = 0; i < into.length; i++) into[i] = random.weight(DEVIATION);
    },
  };
}
