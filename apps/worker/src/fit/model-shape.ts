import type { GgufHeader } from "@quern/shared/models/gguf-header";
import type { GgufTensor } from "@quern/shared/models/gguf-tensors";

/** What a model's memory follows from. Widths are numbers per token. */
export interface ModelShape {
  vocabulary: number;
  hidden: number;
  heads: number;
  /** Of all heads' queries together. */
  queryWidth: number;
  /** Of the widest feed-forward that every token passes; 0 where all of it is experts. */
  feedForwardWidth: number;
  experts: { used: number; feedForwardWidth: number } | null;
  blocks: readonly BlockShape[];
  /** The token embeddings. llama.cpp keeps them in RAM whatever is on a GPU. */
  inputBytes: number;
  /** Everything after the last block. The embeddings once more, where they are the output head too. */
  outputBytes: number;
  /** Whether the output head is the embeddings: on one device it takes no memory of its own. */
  head: "tied" | "own";
  largestTensorBytes: number;
}

export interface BlockShape {
  weightsBytes: number;
  /** Of keys and values that one token leaves in the cache; 0 in a block without attention. */
  kvWidth: number;
}

/** null: a header without token embeddings or blocks, about which llama.cpp has to say what is wrong. */
export function modelShape(header: GgufHeader): ModelShape | null {
  const { tensors, blockCount, headCount, expertUsedCount } = header;
  const embeddings = tensors.find(({ name }) => name === "token_embd.weight");
  const [hidden = 0, vocabulary = 0] = embeddings?.shape ?? [];
  if (embeddings === undefined || blockCount === null || hidden === 0) return null;

  const own = tensors.some(({ name }) => name === "output.weight");
  const rest = tensors.filter((tensor) => blockOf(tensor) === null && tensor !== embeddings);
  const expertWidth = widest(tensors, /^blk\.\d+\.ffn_(gate|up)_exps\.weight$/);
  return {
    vocabulary,
    hidden,
    heads: headCount ?? 1,
    queryWidth: widest(tensors, /^blk\.\d+\.attn_(q|qkv)\.weight$/),
    feedForwardWidth: widest(tensors, /^blk\.\d+\.ffn_(gate|up)(_shexp)?\.weight$/),
    experts: expertWidth === 0 ? null : { used: expertUsedCount ?? 1, feedForwardWidth: expertWidth },
    blocks: Array.from({ length: blockCount }, (_, block) =>
      blockShape(tensors.filter((tensor) => blockOf(tensor) === block)),
    ),
    inputBytes: embeddings.bytes,
    outputBytes: bytesOf(rest) + (own ? 0 : embeddings.bytes),
    head: own ? "own" : "tied",
    largestTensorBytes: Math.max(...tensors.map(({ bytes }) => bytes)),
  };
}

/** Numbers of one head's keys; llama.cpp takes the same where the file doesn't say. */
export function headLength({ keyLength, tensors, headCount }: GgufHeader): number {
  const [hidden = 0] = tensors.find(({ name }) => name === "token_embd.weight")?.shape ?? [];
  return keyLength ?? hidden / (headCount ?? 1);
}

/** Weights that one token passes through: of each layer's experts only those in use. */
export function activeParameters({ tensors, expertCount, expertUsedCount }: GgufHeader): number {
  const used = expertCount === null ? 1 : (expertUsedCount ?? expertCount) / expertCount;
  return tensors.reduce(
    (sum, { name, weights }) => sum + (/_exps\./.test(name) ? weights * used : weights),
    0,
  );
}

function blockShape(tensors: readonly GgufTensor[]): BlockShape {
  return {
    weightsBytes: bytesOf(tensors),
    kvWidth: widest(tensors, /\.attn_k\.weight$/) + widest(tensors, /\.attn_v\.weight$/),
  };
}

function blockOf({ name }: GgufTensor): number | null {
  const [, block] = /^blk\.(\d+)\./.exec(name) ?? [];
  return block === undefined ? null : Number(block);
}

/** The second length of a matrix is what comes out of it. */
function widest(tensors: readonly GgufTensor[], name: RegExp): number {
  return Math.max(0, ...tensors.filter((tensor) => name.test(tensor.name)).map(({ shape }) => shape[1] ?? 0));
}

function bytesOf(tensors: readonly GgufTensor[]): number {
  return tensors.reduce((sum, { bytes }) => sum + bytes, 0);
}
