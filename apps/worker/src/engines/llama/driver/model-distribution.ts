import type { Token } from "node-llama-cpp";
import type { TokenProbability } from "./driver.ts";
import type { NativeContext, NativeInterface, NativeSampler } from "./native-interface.ts";

/**
 * Reads the model's own distribution. The library reports logits after the sampler that it was given has cut and
 * scaled them, so it is given samplers that change nothing: one for the sampled token and the sum, one for the
 * likeliest ones (a full sort of the vocabulary would cost ten times as much).
 *
 * A native sampler has one buffer of candidates, and works on a thread of its own: one reader serves one feed at a time.
 */
export class ModelDistribution {
  readonly #native: NativeInterface;
  /** Picks nothing; asked for the whole distribution, and for its likeliest tokens by how many. */
  readonly #whole: NativeSampler;
  readonly #likeliest = new Map<number, NativeSampler>();

  constructor(native: NativeInterface) {
    this.#native = native;
    this.#whole = native.createSampler({});
  }

  /** @param top how many likeliest tokens. */
  async read(
    context: NativeContext,
    logitIndex: number,
    token: Token,
    top: number,
  ): Promise<TokenProbability> {
    const [likeliest, , , logits = [], weight = 1] = await context.sampleToken(
      logitIndex,
      this.#whole,
      false,
      false,
      [[token], false, false, true, 0],
      true,
    );
    const logitOf = new Map(pairs(logits));
    // The weight is relative to the highest logit, which the greedy sampler picked.
    const logSum = (logitOf.get(likeliest as Token) ?? 0) + Math.log(weight);
    const logprob = (logitOf.get(token) ?? Number.NEGATIVE_INFINITY) - logSum;
    if (top === 0) return { logprob, top: [] };
    const [, , , topLogits = []] = await context.sampleToken(
      logitIndex,
      this.#likeliestSampler(top),
      false,
      false,
      [[], false, false, false, top],
      false,
    );
    const ranked = pairs(topLogits).sort(([, a], [, b]) => b - a);
    return { logprob, top: ranked.map(([id, logit]) => ({ token: id, logprob: logit - logSum })) };
  }

  dispose(): void {
    this.#whole.dispose();
    for (const sampler of this.#likeliest.values()) sampler.dispose();
  }

  #likeliestSampler(top: number): NativeSampler {
    const known = this.#likeliest.get(top);
    if (known !== undefined) return known;
    const sampler = this.#native.createSampler({ temperature: 1, topK: top, seed: 0 });
    this.#likeliest.set(top, sampler);
    return sampler;
  }
}

function pairs(flat: readonly number[]): [Token, number][] {
  return Array.from({ length: flat.length / 2 }, (_, at) => [
    flat[2 * at] as Token,
    flat[2 * at + 1] as number,
  ]);
}
