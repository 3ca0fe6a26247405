import {
  type Architecture,
  type ModelShape,
  planTensors,
  type TensorPlan,
  TINY_SHAPE,
} from "./architecture.ts";
import { type Tensor, writeGguf } from "./gguf-writer.ts";
import { modelMetadata } from "./model-metadata.ts";
import { RandomSource } from "./random-source.ts";
import { cutIntoDistinctPieces } from "./script-pieces.ts";
import { createTokenizer, END_OF_TURN, type Tokenizer } from "./tokenizer.ts";

interface ScriptedModelOptions {
  /** What it says to every chat prompt, special tokens (`<think>`, `</think>`, `<tool_call>` …) written out. */
  text: string;
  /** `stop` (default): `<|im_end|>` follows the text. `repeat`: the text follows itself, for ever. */
  ending?: "stop" | "repeat";
  architecture?: Architecture;
  contextLength?: number;
  /** What it says instead after a prompt that ends with this control token, which is added to its vocabulary. */
  openings?: Readonly<Record<string, string>>;
  /** Control tokens that prompts may have, beside those. */
  controlTokens?: readonly string[];
  /** Jinja; what is absent is Qwen3's. */
  chatTemplate?: string;
  name?: string;
  seed?: number;
}

/** Dot products of unrelated random rows stay far below a row's own for scripts of tens of thousands of tokens. */
const HIDDEN = 128;
/** Lifts the right token's logit so far above the others that no temperature up to 2 picks another. */
const LOGIT_SCALE = 4;

/**
 * A model that says one fixed text, then ends its turn. Its layers add nothing, so the next token depends on the last
 * one alone: the output head is a table of successors. Every token outside the script has the same embedding, whose
 * successor is the script's first token; so whatever the prompt was, the script begins.
 *
 * Returns the script's tokens as text, one per step of the model; the end of turn is the last of them.
 */
export async function writeScriptedModel(path: string, options: ScriptedModelOptions): Promise<string[]> {
  const ending = options.ending ?? "stop";
  const pieces = scriptOf(options.text, ending);
  const openings = Object.entries(options.openings ?? {}).map(([token, text]) => ({
    token,
    pieces: scriptOf(text, "stop"),
  }));
  const all = [pieces, ...openings.map((opening) => opening.pieces)].flat();

  const shape: ModelShape = {
    ...TINY_SHAPE,
    architecture: options.architecture ?? "qwen3",
    contextLength: options.contextLength ?? TINY_SHAPE.contextLength,
    hidden: HIDDEN,
    layers: 1,
  };
  const tokenizer = createTokenizer({
    minted: all.filter((piece) => piece !== END_OF_TURN),
    controlTokens: [...(options.controlTokens ?? []), ...openings.map(({ token }) => token)],
    ...(options.chatTemplate === undefined ? {} : { chatTemplate: options.chatTemplate }),
  });
  const scripts = [
    { after: null, ending, ids: pieces.map(tokenizer.idOf) },
    ...openings.map(({ token, pieces: said }) => ({
      after: tokenizer.idOf(token),
      ending: "stop" as const,
      ids: said.map(tokenizer.idOf),
    })),
  ];
  const random = new RandomSource(options.seed ?? 1);
  const { embeddings, output } = successorTable(scripts, tokenizer, random);
  await writeGguf(path, {
    metadata: modelMetadata(options.name ?? "scripted", shape, tokenizer, "f32"),
    tensors: planTensors(shape, tokenizer.size).map((plan) => toTensor(plan, embeddings, output, random)),
  });
  return pieces;
}

function scriptOf(text: string, ending: "stop" | "repeat"): string[] {
  const pieces = cutIntoDistinctPieces(stripEnd(text, END_OF_TURN));
  if (pieces.length === 0) throw new Error("a script needs some text");
  return ending === "stop" ? [...pieces, END_OF_TURN] : pieces;
}

interface Script {
  /** null: any token that is in no script. */
  after: number | null;
  ids: readonly number[];
  ending: "stop" | "repeat";
}

/** Both tables hold one row of HIDDEN weights per token. No two scripts may share a piece. */
function successorTable(
  scripts: readonly Script[],
  tokenizer: Tokenizer,
  random: RandomSource,
): { embeddings: Float32Array; output: Float32Array } {
  const anyPrompt = randomRow(random);
  const known = scripts.flatMap(({ after, ids }) => (after === null ? ids : [...ids, after]));
  const rows = new Map(known.map((id) => [id, randomRow(random)]));
  const embeddings = new Float32Array(tokenizer.size * HIDDEN);
  for (let id = 0; id < tokenizer.size; id++) embeddings.set(rows.get(id) ?? anyPrompt, id * HIDDEN);

  const output = new Float32Array(tokenizer.size * HIDDEN);
  const succeed = (before: Float32Array, id: number) => {
    for (const [i, weight] of before.entries())
      output[id * HIDDEN + i] = (output[id * HIDDEN + i] ?? 0) + weight * LOGIT_SCALE;
  };
  for (const { after, ids, ending } of scripts) {
    const [first = 0] = ids;
    let before = after === null ? anyPrompt : (rows.get(after) ?? anyPrompt);
    for (const id of ids) {
      succeed(before, id);
      before = rows.get(id) ?? anyPrompt;
    }
    if (ending === "repeat") succeed(before, first);
  }
  return { embeddings, output };
}

/** ±1: RMS norm leaves such a row as it is. */
function randomRow(random: RandomSource): Float32Array {
  return Float32Array.from({ length: HIDDEN }, () => random.sign());
}

function toTensor(
  plan: TensorPlan,
  embeddings: Float32Array,
  output: Float32Array,
  random: RandomSource,
): Tensor {
  const fills: Record<TensorPlan["kind"], Tensor["fill"]> = {
    embedding: (into, first) => into.set(embeddings.subarray(first, first + into.length)),
    output: (into, first) => into.set(output.subarray(first, first + into.length)),
    norm: (into) => into.fill(1),
    bias: (into) => into.fill(0),
    // It may choose among experts as it likes: all of them add nothing. At exactly 0 llama.cpp's gate of qwen2moe's
    // shared expert divides by 0.
    router: (into) => into.set(into.map(() => random.weight(1))),
    matrix: (into) => into.fill(0),
  };
  return { name: plan.name, shape: plan.shape, type: "f32", fill: fills[plan.kind] };
}

function stripEnd(text: string, end: string): string {
  return text.endsWith(end) ? text.slice(0, -end.length) : text;
}
