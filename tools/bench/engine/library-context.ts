import { getLlama, type LlamaContextSequence, LlamaLogLevel, type LlamaModel } from "node-llama-cpp";
import type { ContenderOptions } from "./contender.ts";

interface LibraryContext extends AsyncDisposable {
  readonly model: LlamaModel;
  /** Takes a free sequence; there is one for each slot. */
  readonly takeSequence: () => LlamaContextSequence;
  readonly giveBack: (sequence: LlamaContextSequence) => void;
}

/** A model as the library's documentation loads it, with threads and contexts like every contender's. */
export async function loadLibraryContext(options: ContenderOptions): Promise<LibraryContext> {
  // `maxThreads` defaults to at least 4, which stalls a machine with fewer cores.
  const llama = await getLlama({
    build: "never",
    maxThreads: options.threads,
    logLevel: LlamaLogLevel.error,
  });
  const model = await llama.loadModel({ modelPath: options.modelPath });
  const context = await model.createContext({
    sequences: options.slots,
    contextSize: options.contextTokens,
    threads: options.threads,
  });
  const free = Array.from({ length: options.slots }, () => context.getSequence());
  return {
    model,
    takeSequence: () => {
      const sequence = free.shift();
      if (sequence === undefined) throw new Error("a workload has no more requests in flight than slots");
      return sequence;
    },
    giveBack: (sequence) => free.push(sequence),
    async [Symbol.asyncDispose]() {
      await context.dispose();
      await model.dispose();
      await llama.dispose();
    },
  };
}

/** Greedy, like every contender. `topK: 1` spares the samplers after it the rest of the vocabulary. */
export const GREEDY = { temperature: 0, topK: 1 } as const;
