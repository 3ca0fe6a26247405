import { LlamaCompletion, type Token } from "node-llama-cpp";
import type { ContenderOptions } from "../contender.ts";
import { ownCpuMs } from "../cpu-time.ts";
import { spreadOverChunks } from "../token-times.ts";
import type { Target } from "../workload.ts";
import { GREEDY, loadLibraryContext } from "./library-context.ts";

/**
 * The library's high-level way. It ends at an end token, which nothing can forbid it: such a generation is shorter than
 * the others'.
 */
export async function startLibraryCompletion(options: ContenderOptions): Promise<Target & AsyncDisposable> {
  const library = await loadLibraryContext(options);
  return {
    version: library.model.llama.llamaCppRelease.release,
    tokenTimes: "observed",
    generate: async ({ promptTokens, maxTokens }, onToken) => {
      const sequence = library.takeSequence();
      const completion = new LlamaCompletion({ contextSequence: sequence, autoDisposeSequence: false });
      const tokensBefore = sequence.tokenMeter.usedOutputTokens;
      const sentAtMs = performance.now();
      const chunkAtMs: number[] = [];
      await completion.generateCompletion(promptTokens as Token[], {
        ...GREEDY,
        maxTokens,
        onToken: (tokens) => {
          chunkAtMs.push(performance.now());
          for (const _token of tokens) onToken();
        },
      });
      const endedAtMs = performance.now();
      const tokens = sequence.tokenMeter.usedOutputTokens - tokensBefore;
      completion.dispose({ disposeSequence: false });
      await sequence.clearHistory();
      library.giveBack(sequence);
      // Bytes that are not yet a character are held back: chunks are fewer than tokens.
      return { sentAtMs, tokenAtMs: spreadOverChunks(chunkAtMs, tokens), endedAtMs, cachedTokens: 0 };
    },
    cpuMs: ownCpuMs,
    takeSteps: () => null,
    [Symbol.asyncDispose]: () => library[Symbol.asyncDispose](),
  };
}
