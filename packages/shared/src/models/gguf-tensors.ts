import { tensorBytes } from "./ggml-types.ts";

/** A tensor as the header names it. */
export interface GgufTensor {
  /** In llama.cpp's names: `token_embd.weight`, `blk.7.attn_k.weight`, … */
  name: string;
  /** ggml's order: the row length first. */
  shape: readonly number[];
  weights: number;
  bytes: number;
}

/** Where the header says that a tensor's data lies. */
export interface TensorPlace {
  name: string;
  shape: readonly number[];
  ggmlType: number;
  /** From the first byte of all tensor data. */
  offset: number;
}

/**
 * Sizes of all tensors of one file, and how many bytes of data they need together. A type that is not known takes what
 * lies between its tensor and the next one, or the end of `availableBytes`.
 */
export function measureTensors(
  places: readonly TensorPlace[],
  availableBytes: number,
): { tensors: GgufTensor[]; dataBytes: number } {
  const starts = [...places.map(({ offset }) => offset), availableBytes].sort((a, b) => a - b);
  let dataBytes = 0;
  const tensors = places.map(({ name, shape, ggmlType, offset }) => {
    const weights = shape.reduce((product, length) => product * length, 1);
    const known = tensorBytes(ggmlType, weights);
    dataBytes = Math.max(dataBytes, offset + known);
    const gap = () => (starts.find((start) => start > offset) ?? offset) - offset;
    return { name, shape, weights, bytes: known === 0 ? gap() : known };
  });
  return { tensors, dataBytes };
}
