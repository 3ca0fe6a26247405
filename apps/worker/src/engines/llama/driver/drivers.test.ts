import type { Token } from "node-llama-cpp";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { LoadedChatModel } from "../load-model.ts";
import {
  emptySlots,
  feed,
  GREEDY,
  openModel,
  promptTokens,
  SLOTS,
  sampledIn,
  sampleTokens,
  TINY_MODEL,
  TINY_MOE_MODEL,
} from "./driver.fixture.ts";
import type { Sampler } from "./driver.ts";
import type { SamplerOptions } from "./sampling.ts";

const MESSAGES = [
  "What is the capital of France?",
  "Tell me a short story about a cat.",
  "Add 3 and 5.",
  "Who are you?",
  "Tell me a story about a brave fox and a red balloon.",
  "Classify the sentiment: The material is great.",
];
const STORY = MESSAGES[1] as string;
const STEPS = 24;

/** What each model says to each message, by the driver that has come first. */
const greedyTokens = new Map<string, Token[][]>();

describe.each([
  { driver: "batch", modelPath: TINY_MODEL },
  { driver: "sequence", modelPath: TINY_MODEL },
  { driver: "batch", modelPath: TINY_MOE_MODEL },
  { driver: "sequence", modelPath: TINY_MOE_MODEL },
] as const)("the $driver driver on $modelPath", ({ driver: name, modelPath }) => {
  let loaded: LoadedChatModel;
  const samplers: Sampler[] = [];

  beforeAll(async () => {
    loaded = await openModel(modelPath, name);
    expect(loaded.driver.name).toBe(name);
  });
  afterEach(async () => {
    for (const sampler of samplers.splice(0)) sampler.dispose();
    await emptySlots(loaded.driver);
  });
  afterAll(() => loaded[Symbol.asyncDispose]());

  function sampler(changes: Partial<SamplerOptions> = {}): Sampler {
    const created = loaded.driver.createSampler({ ...GREEDY, ...changes }, []);
    samplers.push(created);
    return created;
  }

  const promptOf = (message: string) => promptTokens(loaded, message);
  const textOf = (tokens: Token[]) => loaded.model.detokenize(tokens, false);

  async function alone(tokens: readonly Token[], options: Partial<SamplerOptions> = {}, steps = STEPS) {
    await loaded.driver.truncate(0, 0);
    const [sampled] = await sampleTokens(
      loaded.driver,
      [{ slot: 0, tokens, sampler: sampler(options) }],
      steps,
    );
    return sampled as Token[];
  }

  /** What many seeds pick as the first token of an answer. */
  async function picks(options: Partial<SamplerOptions>): Promise<Set<Token>> {
    const { driver } = loaded;
    const prompt = promptOf(STORY);
    const last = prompt.length - 1;
    await driver.truncate(0, 0);
    await feed(driver, 0, 0, prompt.slice(0, last));
    const found = new Set<Token>();
    for (let seed = 0; seed < 48; seed += 1) {
      await driver.truncate(0, last);
      const stream = {
        slot: 0,
        held: last,
        tokens: prompt.slice(last),
        sampler: sampler({ ...options, seed }),
      };
      const [[token] = []] = await sampleTokens(driver, [stream], 1);
      found.add(token as Token);
    }
    await driver.truncate(0, 0);
    return found;
  }

  test("says the same in one slot and in many, and the same as the other driver", async () => {
    const prompts = MESSAGES.map(promptOf);
    const each: Token[][] = [];
    for (const prompt of prompts) each.push(await alone(prompt));
    expect(greedyTokens.get(modelPath) ?? each).toEqual(each);
    greedyTokens.set(modelPath, each);

    await loaded.driver.truncate(0, 0);
    const streams = prompts.map((tokens, slot) => ({ slot, tokens, sampler: sampler() }));
    expect(await sampleTokens(loaded.driver, streams, STEPS)).toEqual(each);
  });

  test("says the same from slots with gaps between them", async () => {
    const prompts = MESSAGES.slice(0, 2).map(promptOf);
    const each = [await alone(prompts[0] as Token[]), await alone(prompts[1] as Token[])];
    const streams = prompts.map((tokens, at) => ({ slot: 1 + 3 * at, tokens, sampler: sampler() }));
    expect(await sampleTokens(loaded.driver, streams, STEPS)).toEqual(each);
  });

  test("says the same when a prompt is fed in chunks, beside another one that decodes", async () => {
    const { driver } = loaded;
    const prompt = promptOf(MESSAGES[4] as string);
    const whole = await alone(prompt);
    const beside = await alone(promptOf(STORY), {}, STEPS);

    const other = { slot: 0, sampler: sampler(), next: promptOf(STORY), position: 0, sampled: [] as Token[] };
    await driver.truncate(0, 0);
    const own = sampler();
    const sampled: Token[] = [];
    for (let position = 0; position < prompt.length; position += 5) {
      const tokens = prompt.slice(position, position + 5);
      const [first, second] = await driver.step([
        { slot: 0, position: other.position, tokens: other.next, sampler: other.sampler, topLogprobs: null },
        {
          slot: 3,
          position,
          tokens,
          sampler: position + 5 >= prompt.length ? own : null,
          topLogprobs: null,
        },
      ]);
      other.position += other.next.length;
      other.next = [sampledIn(first).token];
      other.sampled.push(...other.next);
      if (second?.kind === "sampled") sampled.push(second.token);
    }
    const stream = { slot: 3, held: prompt.length, tokens: sampled, sampler: own };
    const [rest = []] = await sampleTokens(driver, [stream], STEPS - 1);
    expect([...sampled, ...rest]).toEqual(whole);
    expect(beside.slice(0, other.sampled.length)).toEqual(other.sampled);
  });

  test("a cache that is truncated goes on as if it had never held more", async () => {
    const { driver } = loaded;
    const prompt = promptOf(STORY);
    const untouched = await alone(prompt);
    await driver.truncate(0, 0);
    const wrong = promptOf(MESSAGES[4] as string);
    const shared = prompt.findIndex((token, at) => token !== wrong[at]);
    expect(shared).toBeGreaterThan(3);
    await sampleTokens(driver, [{ slot: 0, tokens: wrong, sampler: sampler() }], 5);
    await driver.truncate(0, shared);
    const stream = { slot: 0, held: shared, tokens: prompt.slice(shared), sampler: sampler() };
    expect(await sampleTokens(driver, [stream], STEPS)).toEqual([untouched]);
  });

  test("tokens that are forced between two samples are fed with them", async () => {
    const prompt = promptOf(STORY);
    const whole = await alone(prompt);
    await loaded.driver.truncate(0, 0);
    const own = sampler();
    await sampleTokens(loaded.driver, [{ slot: 0, tokens: prompt, sampler: own }], 1);
    const stream = { slot: 0, held: prompt.length, tokens: whole.slice(0, 9), sampler: own };
    expect(await sampleTokens(loaded.driver, [stream], STEPS - 9)).toEqual([whole.slice(9)]);
  });

  test("a presence penalty as high as can be repeats nothing, and does not count the prompt", async () => {
    const prompt = promptOf(STORY);
    const [first] = await alone(prompt);
    // More tokens than the 64 that the library looks back at by itself.
    const penalized = await alone(prompt, { presencePenalty: 100 }, 90);
    expect(new Set(penalized).size).toBe(90);
    expect(penalized[0]).toBe(first);
    expect(new Set(await alone(prompt, { frequencyPenalty: 100 }, 90)).size).toBe(90);
  });

  test("a repetition penalty changes what is repeated, not what comes first", async () => {
    const prompt = promptOf(STORY);
    const plain = await alone(prompt, {}, 60);
    const repeated = plain.findIndex((token, at) => plain.indexOf(token) < at);
    const penalized = await alone(prompt, { repetitionPenalty: 50 }, 60);
    expect(penalized.slice(0, repeated)).toEqual(plain.slice(0, repeated));
    expect(penalized).not.toEqual(plain);
    expect(penalized[repeated]).not.toBe(plain[repeated]);
  });

  test("a bias of +100 forces a token, −100 forbids it, the end of the answer included", async () => {
    const prompt = promptOf(STORY);
    const [first] = await alone(prompt, {}, 1);
    const [forced] = loaded.model.tokenize("balloon");
    expect(await alone(prompt, { logitBias: [{ token: forced as Token, bias: 100 }] }, 5)).toEqual(
      Array(5).fill(forced),
    );
    const without = await alone(prompt, { logitBias: [{ token: first as Token, bias: -100 }] });
    expect(without).not.toContain(first);

    const end = loaded.model.tokens.eot ?? loaded.model.tokens.eos;
    expect(await alone(prompt, { logitBias: [{ token: end as Token, bias: 100 }] }, 1)).toEqual([end]);
    const endless = promptOf(MESSAGES[2] as string);
    expect(await alone(endless)).toContain(end);
    expect(await alone(endless, { logitBias: [{ token: end as Token, bias: -100 }] })).not.toContain(end);
  });

  test("a seed draws the same again, alone and beside others; another one draws otherwise", async () => {
    const prompt = promptOf(STORY);
    const options = { temperature: 1.5, topK: 40, topP: 0.95, minP: 0.01, presencePenalty: 0.5, seed: 7 };
    const drawn = await alone(prompt, options);
    expect(await alone(prompt, options)).toEqual(drawn);
    expect(await alone(prompt, { ...options, seed: 8 })).not.toEqual(drawn);
    await loaded.driver.truncate(0, 0);
    const streams = [5, 7, 9].map((seed, slot) => ({
      slot,
      tokens: prompt,
      sampler: sampler({ ...options, seed }),
    }));
    expect((await sampleTokens(loaded.driver, streams, STEPS))[1]).toEqual(drawn);
  });

  test("each cut alone leaves only the likeliest, and more where it is wider", async () => {
    const hot = { temperature: 4 };
    const [likeliest] = await alone(promptOf(STORY), {}, 1);
    const uncut = await picks(hot);
    expect(uncut.size).toBeGreaterThan(20);
    for (const cut of [{ topK: 1 }, { topP: 1e-6 }, { minP: 1 }]) {
      expect(await picks({ ...hot, ...cut })).toEqual(new Set([likeliest]));
    }
    const three = await picks({ ...hot, topK: 3 });
    expect(three.size).toBe(3);
    expect(three).toContain(likeliest);
  });

  test("a grammar binds from the token it is set on, greedy or drawn, and lets the answer end", async () => {
    const { driver, llama, model } = loaded;
    const grammar = await llama.createGrammar({ grammar: 'root ::= "yes, " ("indeed" | "sure")' });
    const prompt = promptOf(STORY);
    for (const options of [{}, { temperature: 1.5, seed: 3, presencePenalty: 0.2 }]) {
      const free = await alone(prompt, options, 4);
      await driver.truncate(0, 0);
      const own = sampler(options);
      const before = await sampleTokens(driver, [{ slot: 0, tokens: prompt, sampler: own }], 4);
      expect(before).toEqual([free]);
      own.constrain(grammar, []);
      let next = free.at(-1) as Token;
      const bound: Token[] = [];
      for (let position = prompt.length + 3; !model.isEogToken(next); position += 1) {
        const stream = { slot: 0, held: position, tokens: [next], sampler: own };
        const [[token] = []] = await sampleTokens(driver, [stream], 1);
        next = token as Token;
        bound.push(next);
        expect(bound.length).toBeLessThan(20);
      }
      expect(["yes, indeed", "yes, sure"]).toContain(textOf(bound.slice(0, -1)));
    }
  });

  test("a feed that fails leaves the others as they are, and its slot can be used again", async () => {
    const { driver } = loaded;
    const prompts = MESSAGES.slice(0, 3).map(promptOf);
    const each: Token[][] = [];
    for (const prompt of prompts) each.push(await alone(prompt));
    await driver.truncate(0, 0);

    const own = prompts.map(() => sampler());
    const noToken = 1_000_000 as Token;
    const fed = [prompts[0] as Token[], [...(prompts[1] as Token[]), noToken], prompts[2] as Token[]];
    const outcomes = await driver.step(
      fed.map((tokens, slot) => ({
        slot,
        position: 0,
        tokens,
        sampler: own[slot] ?? null,
        topLogprobs: null,
      })),
    );
    expect(outcomes.map(({ kind }) => kind)).toEqual(["sampled", "failed", "sampled"]);
    await driver.truncate(1, 0);
    const streams = [0, 2].map((slot) => ({
      slot,
      held: (prompts[slot] as Token[]).length,
      tokens: [sampledIn(outcomes[slot]).token],
      sampler: own[slot] as Sampler,
    }));
    const rest = await sampleTokens(driver, streams, STEPS - 1);
    expect([0, 2].map((slot, at) => [sampledIn(outcomes[slot]).token, ...(rest[at] as Token[])])).toEqual([
      each[0],
      each[2],
    ]);
    const again = { slot: 1, tokens: prompts[1] as Token[], sampler: sampler() };
    expect(await sampleTokens(driver, [again], STEPS)).toEqual([each[1]]);
  });

  test("streams that have begun go on when another's feed fails", async () => {
    const { driver } = loaded;
    const prompt = promptOf(STORY);
    const whole = await alone(prompt, { presencePenalty: 0.7 });
    await driver.truncate(0, 0);
    const own = sampler({ presencePenalty: 0.7 });
    const [before = []] = await sampleTokens(driver, [{ slot: 0, tokens: prompt, sampler: own }], 6);
    const held = prompt.length + 5;
    const outcomes = await driver.step([
      { slot: 0, position: held, tokens: before.slice(-1), sampler: own, topLogprobs: null },
      { slot: 1, position: 0, tokens: [1_000_000 as Token], sampler: null, topLogprobs: null },
    ]);
    const { token } = sampledIn(outcomes[0]);
    const stream = { slot: 0, held: held + 1, tokens: [token], sampler: own };
    const [after = []] = await sampleTokens(driver, [stream], STEPS - 7);
    expect([...before, token, ...after]).toEqual(whole);
  });

  test("every slot can be filled at once, to the last token that a job may feed", async () => {
    const { driver } = loaded;
    const prompt = promptOf(STORY);
    const filled = 511;
    const streams = Array.from({ length: SLOTS }, (_, slot) => ({
      slot,
      tokens: prompt,
      sampler: sampler(),
    }));
    const sampled = await sampleTokens(driver, streams, filled - prompt.length + 1);
    for (const tokens of sampled) expect(tokens).toEqual(sampled[0]);
  });
});
