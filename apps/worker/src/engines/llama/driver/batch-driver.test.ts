import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Token } from "node-llama-cpp";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { LoadedChatModel } from "../load-model.ts";
import {
  emptySlots,
  feed,
  GREEDY,
  openModel,
  promptTokens,
  type Sampled,
  SLOTS,
  sample,
  sampledIn,
  sampleTokens,
  TINY_MODEL,
  TINY_MOE_MODEL,
} from "./driver.fixture.ts";
import type { Sampler } from "./driver.ts";
import type { SamplerOptions } from "./sampling.ts";

const STEPS = 16;

describe.each([TINY_MODEL, TINY_MOE_MODEL])("the batch driver alone, on %s", (modelPath) => {
  let loaded: LoadedChatModel;
  let folder: string;
  const samplers: Sampler[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "quern-batch-driver-"));
    loaded = await openModel(modelPath, "batch");
  });
  afterEach(async () => {
    for (const sampler of samplers.splice(0)) sampler.dispose();
    await emptySlots(loaded.driver);
  });
  afterAll(async () => {
    await loaded[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  });

  function sampler(changes: Partial<SamplerOptions> = {}): Sampler {
    const created = loaded.driver.createSampler({ ...GREEDY, ...changes }, []);
    samplers.push(created);
    return created;
  }

  const promptOf = (message: string) => promptTokens(loaded, message);
  const cat = () => promptOf("Tell me a short story about a cat.");
  const fox = () => promptOf("Tell me a story about a brave fox and a red balloon.");

  async function goOn(slot: number, held: number, prompt: readonly Token[]): Promise<Token[]> {
    const stream = { slot, held, tokens: prompt.slice(held), sampler: sampler() };
    const [sampled] = await sampleTokens(loaded.driver, [stream], STEPS);
    return sampled as Token[];
  }

  test.each([
    ["to a higher slot", 1, 4],
    ["to a lower slot", 4, 1],
  ])("a cache that is copied %s goes on like its source, which keeps its own", async (_, from, to) => {
    const { driver } = loaded;
    const reference = await goOn(from, 0, cat());
    await emptySlots(driver);
    await feed(driver, from, 0, cat());
    // What the target held is forgotten, however much it was.
    await feed(driver, to, 0, [...fox(), ...fox(), ...fox()]);
    const kept = cat().length - 1;
    await driver.copy(from, to, kept);
    expect(await goOn(to, kept, cat())).toEqual(reference);
    await driver.truncate(from, kept);
    expect(await goOn(from, kept, cat())).toEqual(reference);
  });

  test("a copy is what its source held then, whatever either is given before the next step", async () => {
    const { driver } = loaded;
    const catTokens = await goOn(0, 0, cat());
    const foxTokens = await goOn(1, 0, fox());
    await emptySlots(driver);
    const catPath = join(folder, "cat");
    const foxPath = join(folder, "fox");
    await feed(driver, 0, 0, cat());
    await driver.save(0, catPath, cat());
    await feed(driver, 1, 0, fox());
    await driver.save(1, foxPath, fox());

    // The source is loaded anew.
    await driver.copy(0, 2, cat().length - 1);
    await driver.load(0, foxPath);
    expect(await goOn(2, cat().length - 1, cat())).toEqual(catTokens);
    await driver.truncate(0, fox().length - 1);
    expect(await goOn(0, fox().length - 1, fox())).toEqual(foxTokens);

    // The target is.
    await driver.truncate(1, fox().length);
    await driver.copy(1, 3, fox().length);
    await driver.load(3, catPath);
    await driver.truncate(3, cat().length - 1);
    expect(await goOn(3, cat().length - 1, cat())).toEqual(catTokens);

    // The copy is saved, and copied on.
    await driver.truncate(1, fox().length);
    await driver.copy(1, 4, fox().length);
    await driver.copy(4, 5, fox().length - 1);
    await driver.save(4, join(folder, "copied"), fox());
    await driver.truncate(1, 0);
    expect(await driver.load(1, join(folder, "copied"))).toEqual(fox());
    await driver.truncate(1, fox().length - 1);
    expect(await goOn(1, fox().length - 1, fox())).toEqual(foxTokens);
    expect(await goOn(5, fox().length - 1, fox())).toEqual(foxTokens);
  });

  test("a grammar that comes to allow nothing fails its own stream alone", async () => {
    const { driver, llama } = loaded;
    const [reference = []] = await sampleTokens(
      driver,
      [{ slot: 2, tokens: cat(), sampler: sampler() }],
      STEPS,
    );
    await emptySlots(driver);
    // No token is a part of a character beyond four bytes of UTF-8.
    const deadEnd = await llama.createGrammar({ grammar: 'root ::= "a\\U7FFFFFFF"' });
    const bound = sampler({ temperature: 1 });
    bound.constrain(deadEnd, []);
    const free = sampler();
    const first = await driver.step([
      { slot: 1, position: 0, tokens: cat(), sampler: bound, topLogprobs: null },
      { slot: 2, position: 0, tokens: cat(), sampler: free, topLogprobs: null },
    ]);
    const [a, b] = first.map((outcome) => sampledIn(outcome).token) as [Token, Token];
    expect(loaded.model.detokenize([a])).toBe("a");
    const held = cat().length;
    const [failed, second] = await driver.step([
      { slot: 1, position: held, tokens: [a], sampler: bound, topLogprobs: 2 },
      { slot: 2, position: held, tokens: [b], sampler: free, topLogprobs: null },
    ]);
    expect(failed?.kind).toBe("failed");
    const next = sampledIn(second).token;
    const stream = { slot: 2, held: held + 1, tokens: [next], sampler: free };
    const [rest = []] = await sampleTokens(driver, [stream], STEPS - 2);
    expect([b, next, ...rest]).toEqual(reference);
  });

  describe("log-probabilities", () => {
    /** Of a probability: the library's public interface feeds other numbers of tokens at once, by other kernels. */
    const TOLERANCE = 2e-2;
    const stories = ["cat", "dog", "fox", "seal", "bear", "owl"].map(
      (animal) => `Tell me a short story about a ${animal}.`,
    );

    /** The whole distribution after each prefix, by the library's public interface. */
    async function references(prompt: readonly Token[], sampled: readonly Token[]) {
      const context = await loaded.model.createContext({ sequences: 1, contextSize: 512, threads: 1 });
      const sequence = context.getSequence();
      const options = { temperature: 1, topK: 0, topP: 1, minP: 0, seed: 1 };
      const generateNext = { probabilities: true, options };
      const outputs = await sequence.controlledEvaluate([
        ...prompt.slice(0, -1),
        ...[prompt.at(-1) as Token, ...sampled.slice(0, -1)].map(
          (token) => [token, { generateNext }] as [Token, { generateNext: typeof generateNext }],
        ),
      ]);
      await context.dispose();
      return outputs
        .slice(prompt.length - 1)
        .map((output) => output?.next.probabilities as Map<Token, number>);
    }

    async function expectOwnDistribution(prompt: readonly Token[], sampled: readonly Sampled[]) {
      const distributions = await references(
        prompt,
        sampled.map(({ token }) => token),
      );
      for (const [at, { token, probability }] of sampled.entries()) {
        const distribution = distributions[at] as Map<Token, number>;
        const ranked = [...distribution].sort(([, a], [, b]) => b - a).slice(0, 20);
        const top = probability?.top ?? [];
        expect(Math.abs(Math.exp(probability?.logprob ?? 1) - (distribution.get(token) ?? 2))).toBeLessThan(
          TOLERANCE,
        );
        expect(top).toHaveLength(20);
        for (const [rank, { token: likely, logprob }] of top.entries()) {
          expect(Math.abs(Math.exp(logprob) - (ranked[rank]?.[1] ?? 2))).toBeLessThan(TOLERANCE);
          expect(Math.abs(Math.exp(logprob) - (distribution.get(likely) ?? 2))).toBeLessThan(TOLERANCE);
        }
        expect(top.reduce((sum, { logprob }) => sum + Math.exp(logprob), 0)).toBeLessThan(1 + 1e-4);
        expect(new Set(top.map((one) => one.token)).size).toBe(20);
      }
    }

    test.each<[string, Partial<SamplerOptions>]>([
      ["greedy", {}],
      [
        "with temperature, cuts, penalties and a bias",
        {
          temperature: 3,
          topK: 50,
          topP: 0.9,
          minP: 0.001,
          presencePenalty: 1.5,
          repetitionPenalty: 1.3,
          logitBias: [{ token: 300, bias: 5 }],
        },
      ],
    ])("are the model's own: %s", async (_, options) => {
      const stream = { slot: 0, tokens: cat(), sampler: sampler(options), topLogprobs: 20 };
      const [sampled = []] = await sample(loaded.driver, [stream], STEPS);
      await expectOwnDistribution(cat(), sampled);
    });

    test("of a grammar that forbids the likeliest token are the model's own", async () => {
      const digits = await loaded.llama.createGrammar({ grammar: "root ::= [0-9]+" });
      const bound = sampler();
      bound.constrain(digits, []);
      const stream = { slot: 0, tokens: cat(), sampler: bound, topLogprobs: 20 };
      const [sampled = []] = await sample(loaded.driver, [stream], 4);
      expect(loaded.model.detokenize(sampled.map(({ token }) => token))).toMatch(/^\d+$/);
      await expectOwnDistribution(cat(), sampled);
    });

    test("are the same alone and beside others that ask for their own", async () => {
      const streams = stories.map((story, slot) => ({
        slot,
        tokens: promptOf(story),
        sampler: sampler(),
        topLogprobs: slot % 3 === 2 ? 5 : 20,
      }));
      const together = await sample(loaded.driver, streams, STEPS * 3);
      for (const [slot, stream] of streams.entries()) {
        await emptySlots(loaded.driver, SLOTS);
        const [alone] = await sample(loaded.driver, [{ ...stream, sampler: sampler() }], STEPS * 3);
        expectSameDistributions(together[slot] ?? [], alone ?? []);
      }
    });

    test("without likeliest ones tell the sampled one's", async () => {
      const [[one] = []] = await sample(
        loaded.driver,
        [{ slot: 0, tokens: cat(), sampler: sampler(), topLogprobs: 1 }],
        1,
      );
      await emptySlots(loaded.driver);
      const [[none] = []] = await sample(
        loaded.driver,
        [{ slot: 0, tokens: cat(), sampler: sampler(), topLogprobs: 0 }],
        1,
      );
      expect(none?.probability).toEqual({ logprob: one?.probability?.logprob, top: [] });
      expect(one?.probability?.top[0]?.token).toBe(one?.token);
    });
  });
});

/** A decode of several rows may round otherwise than one of a single row: by less than a hundredth of a probability. */
function expectSameDistributions(some: readonly Sampled[], others: readonly Sampled[]): void {
  expect(some.map(({ token }) => token)).toEqual(others.map(({ token }) => token));
  for (const [at, { probability }] of some.entries()) {
    const [one, other] = [probabilitiesOf(probability), probabilitiesOf(others[at]?.probability)];
    expect(one).toHaveLength(other.length);
    for (const [rank, value] of one.entries())
      expect(Math.abs(value - (other[rank] ?? 2))).toBeLessThan(0.01);
  }
}

/** The sampled token's, then the likeliest ones'. */
function probabilitiesOf(probability: Sampled["probability"] | undefined): number[] {
  if (probability == null) return [];
  return [probability.logprob, ...probability.top.map(({ logprob }) => logprob)].map(Math.exp);
}
