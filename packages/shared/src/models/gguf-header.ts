import { type FileHandle, open } from "node:fs/promises";
import { QuernError } from "../contract/errors.ts";
import { GgufReader, type GgufValue, UnreadableGguf } from "./gguf-reader.ts";
import { splitParts } from "./gguf-split.ts";
import { type GgufTensor, measureTensors, type TensorPlace } from "./gguf-tensors.ts";

/** What a GGUF file says of itself before its weights begin. */
export interface GgufHeader {
  /** `general.architecture`: qwen2, qwen2moe, qwen3, qwen3moe, … */
  architecture: string;
  /** The context it was trained for, in tokens; null: not said. */
  contextLength: number | null;
  /** null for a dense model. */
  expertCount: number | null;
  expertUsedCount: number | null;
  name: string | null;
  /** Weights in all tensors, over all parts of a split file. */
  parameterCount: number;
  /** Transformer blocks; null: not said. */
  blockCount: number | null;
  /** Heads of the attention's queries; null: not said, or not the same in every block. */
  headCount: number | null;
  /** Length of one head's keys; null: not said, which means hidden size / heads. */
  keyLength: number | null;
  /** `llama_ftype` of llama.cpp: how most of the weights are quantized; null: not said. */
  fileType: number | null;
  /** Every tensor, over all parts of a split file. */
  tensors: readonly GgufTensor[];
  chatTemplate: string | null;
}

interface GgufPart {
  metadata: Map<string, GgufValue>;
  tensors: GgufTensor[];
}

/**
 * Throws `model_file_missing`, or `model_file_invalid` for what is no GGUF, is one of an unknown version, or ends
 * before its last tensor does.
 */
export async function readGgufHeader(path: string): Promise<GgufHeader> {
  const parts: GgufPart[] = [];
  for (const partPath of splitParts(path)) parts.push(await readPart(partPath));

  const metadata = parts[0]?.metadata ?? new Map<string, GgufValue>();
  const architecture = metadata.get("general.architecture");
  if (typeof architecture !== "string" || architecture === "") {
    throw invalid(path, "it does not name its architecture");
  }
  const tensors = parts.flatMap((part) => part.tensors);
  const number = (key: string) => asNumber(metadata.get(`${architecture}.${key}`));
  return {
    architecture,
    contextLength: number("context_length"),
    expertCount: number("expert_count") || null,
    expertUsedCount: number("expert_used_count") || null,
    name: asString(metadata.get("general.name")),
    parameterCount: tensors.reduce((sum, { weights }) => sum + weights, 0),
    blockCount: number("block_count"),
    headCount: number("attention.head_count"),
    keyLength: number("attention.key_length"),
    fileType: asNumber(metadata.get("general.file_type")),
    tensors,
    chatTemplate: asString(metadata.get("tokenizer.chat_template")),
  };
}

/** Whether one file, a part of a split model too, is whole; throws like `readGgufHeader`. */
export async function checkGgufFile(path: string): Promise<void> {
  await readPart(path);
}

async function readPart(path: string): Promise<GgufPart> {
  await using file = await openModelFile(path);
  try {
    return await parsePart(file);
  } catch (error) {
    throw error instanceof UnreadableGguf ? invalid(path, error.message) : error;
  }
}

async function openModelFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, "r");
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code === "ENOENT" ? "" : ` (${(cause as Error).message})`;
    throw new QuernError("model_file_missing", `there is no model file ${path}${reason}: check the path`, {
      cause,
    });
  }
}

/** https://github.com/ggml-org/ggml/blob/master/docs/gguf.md */
async function parsePart(file: FileHandle): Promise<GgufPart> {
  const { size } = await file.stat();
  if (size === 0) throw new UnreadableGguf("it is empty");
  const reader = new GgufReader(file, size);
  if (size < 4 || (await reader.magic()) !== "GGUF") throw new UnreadableGguf("it is not a GGUF file");
  const version = await reader.uint32();
  if (version !== 2 && version !== 3)
    throw new UnreadableGguf(`GGUF version ${version} is not known (2 and 3 are)`);

  const tensorCount = await reader.uint64();
  const metadataCount = await reader.uint64();
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < metadataCount; i++) {
    const key = await reader.string();
    metadata.set(key, await reader.value());
  }

  const places: TensorPlace[] = [];
  for (let i = 0; i < tensorCount; i++) places.push(await reader.tensorInfo());
  const alignment = asNumber(metadata.get("general.alignment")) ?? 32;
  const dataStart = Math.ceil(reader.position / alignment) * alignment;
  const { tensors, dataBytes } = measureTensors(places, size - dataStart);
  if (dataStart + dataBytes > size) {
    throw new UnreadableGguf(`the file ends early: ${size} of ${dataStart + dataBytes} bytes`);
  }
  return { metadata, tensors };
}

function invalid(path: string, reason: string): QuernError {
  return new QuernError(
    "model_file_invalid",
    `${path} can't be used: ${reason}; download it again or give another file`,
  );
}

function asNumber(value: GgufValue | undefined): number | null {
  return typeof value === "number" ? value : null;
}

function asString(value: GgufValue | undefined): string | null {
  return typeof value === "string" ? value : null;
}
