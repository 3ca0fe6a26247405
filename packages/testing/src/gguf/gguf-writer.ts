import { type FileHandle, open } from "node:fs/promises";
import { encodedBytes, encodeWeights, TENSOR_TYPES, type TensorType } from "./quantize.ts";

/** A metadata value with its GGUF type. */
export type MetadataValue =
  | { uint16: number }
  | { uint32: number }
  | { int32: number }
  | { float32: number }
  | { bool: boolean }
  | { string: string }
  | { int32s: number[] }
  | { strings: string[] };

export interface Tensor {
  name: string;
  /** ggml's order: the row length first. */
  shape: number[];
  type: TensorType;
  /** Writes the weights from number `first` on into all of `into`. Called with rising `first`, in file order. */
  fill: (into: Float32Array, first: number) => void;
}

export interface GgufContent {
  metadata: ReadonlyMap<string, MetadataValue>;
  tensors: readonly Tensor[];
}

const VERSION = 3;
const ALIGNMENT = 32;
/** Weights made, encoded and written at a time: it bounds memory, whatever the size of the model. */
const CHUNK_WEIGHTS = 1 << 18;

/** https://github.com/ggml-org/ggml/blob/master/docs/gguf.md */
export async function writeGguf(path: string, { metadata, tensors }: GgufContent): Promise<void> {
  await using file = await open(path, "w");
  let position = await write(file, encodeHeader(metadata, tensors), 0);
  for (const tensor of tensors) {
    position = await write(file, Buffer.alloc(padding(position)), position);
    position = await writeTensor(file, tensor, position);
  }
  await write(file, Buffer.alloc(padding(position)), position);
}

export function weightsIn(tensor: Tensor): number {
  return tensor.shape.reduce((product, length) => product * length, 1);
}

async function writeTensor(file: FileHandle, tensor: Tensor, start: number): Promise<number> {
  const total = weightsIn(tensor);
  let position = start;
  for (let first = 0; first < total; first += CHUNK_WEIGHTS) {
    const chunk = new Float32Array(Math.min(CHUNK_WEIGHTS, total - first));
    tensor.fill(chunk, first);
    position = await write(file, encodeWeights(tensor.type, chunk), position);
  }
  return position;
}

async function write(file: FileHandle, bytes: Buffer, position: number): Promise<number> {
  await file.write(bytes, 0, bytes.length, position);
  return position + bytes.length;
}

function encodeHeader(metadata: ReadonlyMap<string, MetadataValue>, tensors: readonly Tensor[]): Buffer {
  const parts = [Buffer.from("GGUF"), uint32(VERSION), uint64(tensors.length), uint64(metadata.size)];
  for (const [key, value] of metadata) parts.push(string(key), encodeValue(value));
  let offset = 0;
  for (const tensor of tensors) {
    parts.push(string(tensor.name), uint32(tensor.shape.length), ...tensor.shape.map(uint64));
    parts.push(uint32(TENSOR_TYPES[tensor.type].id), uint64(offset));
    offset += encodedBytes(tensor.type, weightsIn(tensor));
    offset += padding(offset);
  }
  return Buffer.concat(parts);
}

/** The number before each value is its `gguf_metadata_value_type`; 9 is an array. */
function encodeValue(value: MetadataValue): Buffer {
  if ("uint16" in value) return Buffer.concat([uint32(2), uint16(value.uint16)]);
  if ("int32" in value) return Buffer.concat([uint32(5), int32(value.int32)]);
  if ("uint32" in value) return Buffer.concat([uint32(4), uint32(value.uint32)]);
  if ("float32" in value) return Buffer.concat([uint32(6), float32(value.float32)]);
  if ("bool" in value) return Buffer.concat([uint32(7), Buffer.from([value.bool ? 1 : 0])]);
  if ("string" in value) return Buffer.concat([uint32(8), string(value.string)]);
  if ("int32s" in value) {
    return Buffer.concat([uint32(9), uint32(5), uint64(value.int32s.length), ...value.int32s.map(int32)]);
  }
  return Buffer.concat([uint32(9), uint32(8), uint64(value.strings.length), ...value.strings.map(string)]);
}

function padding(position: number): number {
  return (ALIGNMENT - (position % ALIGNMENT)) % ALIGNMENT;
}

function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return bytes;
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}

function uint64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function float32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return bytes;
}

function string(value: string): Buffer {
  const bytes = Buffer.from(value, "utf8");
  return Buffer.concat([uint64(bytes.length), bytes]);
}
