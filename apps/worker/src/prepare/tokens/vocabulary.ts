import { getLlama, LlamaLogLevel, type LlamaModel } from "node-llama-cpp";
import { readSpecialTokens, type SpecialToken } from "./special-tokens.ts";
import { Tokenizer } from "./tokenizer.ts";

/** A model as preparation needs it: its header and its tokens, no weights. */
export interface Vocabulary {
  readonly model: LlamaModel;
  readonly tokenizer: Tokenizer;
  readonly specialTokens: readonly SpecialToken[];
  /** Bytes of the longest token that a text can be read as. */
  readonly maxTokenBytes: number;
}

/** Loads the vocabulary of a GGUF file, without its weights, on the CPU. */
export async function loadVocabulary(modelPath: string): Promise<Vocabulary> {
  const llama = await getLlama({
    build: "never",
    gpu: false,
    maxThreads: 1,
    logLevel: LlamaLogLevel.error,
  });
  return vocabularyOf(await llama.loadModel({ modelPath, vocabOnly: true, gpuLayers: 0 }));
}

/** The vocabulary of a model that is loaded already. */
export function vocabularyOf(model: LlamaModel): Vocabulary {
  const special = readSpecialTokens(model);
  const { specialTokens, maxTokenBytes } = special;
  return { model, tokenizer: new Tokenizer(model, special), specialTokens, maxTokenBytes };
}
