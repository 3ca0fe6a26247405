import type { Token } from "node-llama-cpp";
import type { ContenderOptions } from "./contender.ts";
import { ownCpu } from "./cpu-time.ts";
import { GREEDY, loadLibraryContext } from "./library-context.ts";
import type { Target } from "./workload.ts";

/** The library's low-level way: a loop over `sequence.evaluate` for each request, none knowing of the others. */
export async function startLibraryEvaluate(options: ContenderOptions): Promise<Target & AsyncDisposable> {
  const library = await loadLibraryContext(options);
  return {
    version: library.model.llama.llamaCppRelease.release,
    tokenTimes: "observed",
    answerLength: "exact",
    generate: async ({ promptTokens, maxTokens }, onToken) => {
      const sequence = library.takeSequence();
      const sentAtMs = performance.now();
      const tokenAtMs: number[] = [];
      const tokens = sequence.evaluate(promptTokens as Token[], { ...GREEDY, yieldEogToken: true });
      for await (const _token of tokens) {
        tokenAtMs.push(performance.now());
        onToken();
        if (tokenAtMs.length === maxTokens) break;
      }
      const endedAtMs = performance.now();
      await sequence.clearHistory();
      library.giveBack(sequence);
      return { sentAtMs, tokenAtMs, endedAtMs, cachedTokens: 0 };
    },
    cpu: ownCpu,
    takeSteps: () => null,
    [Symbol.asyncDispose]: () => library[Symbol.asyncDispose](),
  };
}
