import { fromFloat16Bits, toFloat16Bits } from "./float16.ts";

/** The ggml types that this generator writes. */
export type TensorType = "f32" | "q8_0" | "q4_0";

/** Layouts: `block_q8_0` and `block_q4_0` of llama.cpp's `ggml-common.h`; ids: `enum ggml_type`. */
export const TENSOR_TYPES: Record<TensorType, { id: number; blockWeights: number; blockBytes: number }> = {
  f32: { id: 0, blockWeights: 1, blockBytes: 4 },
  q4_0: { id: 2, blockWeights: 32, blockBytes: 2 + 16 },
  q8_0: { id: 8, blockWeights: 32, blockBytes: 2 + 32 },
};

export function encodedBytes(type: TensorType, weights: number): number {
  const { blockWeights, blockBytes } = TENSOR_TYPES[type];
  return (weights / blockWeights) * blockBytes;
}

/** `weights` holds whole blocks. */
export function encodeWeights(type: TensorType, weights: Float32Array): Buffer {
  const bytes = Buffer.alloc(encodedBytes(type, weights.length));
  const { blockWeights, blockBytes } = TENSOR_TYPES[type];
  if (type === "f32") {
    for (const [i, weight] of weights.entries()) bytes.writeFloatLE(weight, i * 4);
    return bytes;
  }
  const encodeBlock = type === "q8_0" ? encodeQ8Block : encodeQ4Block;
  for (let block = 0; block * blockWeights < weights.length; block++) {
    encodeBlock(weights, block * blockWeights, bytes, block * blockBytes);
  }
  return bytes;
}

/** A half as scale, then 32 signed bytes: weight = scale × byte. */
function encodeQ8Block(weights: Float32Array, from: number, bytes: Buffer, at: number): void {
  const perScale = writeScale(extremeOf(weights, from) / 127, bytes, at);
  for (let i = 0; i < 32; i++) {
    const level = Math.round((weights[from + i] ?? 0) * perScale);
    bytes[at + 2 + i] = level > 127 ? 127 : level < -128 ? -128 : level;
  }
}

/** A half as scale, then 16 bytes: byte i holds weights i (low) and i + 16 (high); weight = scale × (nibble − 8). */
function encodeQ4Block(weights: Float32Array, from: number, bytes: Buffer, at: number): void {
  const perScale = writeScale(extremeOf(weights, from) / -8, bytes, at);
  for (let i = 0; i < 16; i++) {
    const low = toNibble((weights[from + i] ?? 0) * perScale);
    const high = toNibble((weights[from + i + 16] ?? 0) * perScale);
    bytes[at + 2 + i] = low | (high << 4);
  }
}

/** Truncation rounds here: levels begin at −8. */
function toNibble(level: number): number {
  const nibble = (level + 8.5) | 0;
  return nibble > 15 ? 15 : nibble < 0 ? 0 : nibble;
}

/** The weight farthest from 0, with its sign; NaN when there is one. */
function extremeOf(weights: Float32Array, from: number): number {
  let extreme = 0;
  let farthest = 0;
  for (let i = from; i < from + 32; i++) {
    const weight = weights[i] ?? 0;
    const distance = weight < 0 ? -weight : weight;
    if (distance <= farthest) continue;
    extreme = weight;
    farthest = distance;
    if (Number.isNaN(weight)) break;
  }
  return extreme;
}

/**
 * Returns what to multiply a weight with, by the scale as the reader will see it; 0 where nothing can be scaled: a NaN
 * scale makes its whole block NaN, whatever the levels.
 */
function writeScale(scale: number, bytes: Buffer, at: number): number {
  const half = toFloat16Bits(scale);
  bytes.writeUInt16LE(half, at);
  const stored = fromFloat16Bits(half);
  return stored === 0 || Number.isNaN(stored) ? 0 : 1 / stored;
}
