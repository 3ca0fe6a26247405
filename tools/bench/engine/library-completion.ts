import { LlamaCompletion, type Token } from "node-llama-cpp";
import type { ContenderOptions } from "./contender.ts";
import { ownCpu } from "./cpu-time.ts";
import { GREEDY, loadLibraryContext } from "./library-context.ts";
import type { Target } from "./workload.ts";

/**
 * The library's high-level way. It ends at an end token, and it doesn't end at bytes that are not yet a character; nothing
 * can forbid it either. Its answers can be shorter than the others', and a token or two longer.
 */
export async function startLibraryCompletion(options: ContenderOptions): Promise<Target & AsyncDisposable> {
  const library = await loadLibraryContext(options);
  return {
    version: library.model.llama.llamaCppRelease.release,
    tokenTimes: "observed",
    answerLength: "approximate",
    generate: async ({ promptTokens, maxTokens }, onToken) => {
      const sequence = library.takeSequence();
      const completion = new LlamaCompletion({ contextSequence: sequence, autoDisposeSequence: false });
      const sentAtMs = performance.now();
      const tokenAtMs: number[] = [];
      const arrived = (tokens: number) => {
        const arrivedAtMs = performance.now();
        for (let token = 0; token < tokens; token++) {
          tokenAtMs.push(arrivedAtMs);
          onToken();
        }
      };
      const { metadata } = await completion.generateCompletionWithMeta(promptTokens as Token[], {
        ...GREEDY,
        maxTokens,
        // On by default, and nobody else has it.
        repeatPenalty: false,
        onToken: (tokens) => arrived(tokens.length),
      });
      // The last bytes that never became a character are not told of.
      if (metadata.stopReason === "maxTokens") arrived(maxTokens - tokenAtMs.length);
      const endedAtMs = performance.now();
      completion.dispose({ disposeSequence: false });
      await sequence.clearHistory();
      library.giveBack(sequence);
      return { sentAtMs, tokenAtMs, endedAtMs, cachedTokens: 0 };
    },
    cpu: ownCpu,
    takeSteps: () => null,
    [Symbol.asyncDispose]: () => library[Symbol.asyncDispose](),
  };
}
