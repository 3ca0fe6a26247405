import type { LlamaGrammar, Token } from "node-llama-cpp";
import { GREEDY } from "./driver/driver.fixture.ts";
import type { SamplerOptions } from "./driver/sampling.ts";
import type { Generation } from "./generation/generation.ts";
import type { LoadedChatModel } from "./load-model.ts";
import { GenerationOutput } from "./output/generation-output.ts";
import { tokenBytes } from "./output/token-bytes.ts";

/** Everything about a job that its answer depends on; equal recipes have equal answers where they are greedy. */
export interface Recipe {
  message: string;
  system: string;
  sampling: Partial<SamplerOptions>;
  grammar: string | null;
  stop: readonly string[];
  maxTokens: number;
  /** Tokens of thought before the closing is forced; null: the answer begins without thoughts. */
  thinkingBudget: number | null;
  topLogprobs: number | null;
}

export interface FuzzJob {
  id: string;
  tenant: string;
  recipe: Recipe;
  generations: Generation[];
}

/** Declared: everyone may share it. */
export const PUBLIC_SYSTEM =
  "You are a helpful assistant of the library. Answer politely and in short sentences, and never say more than you know about the books.";
const PRIVATE_SYSTEM =
  "You are a helpful assistant of the bank. Answer politely and in short sentences, and never say more than you know about the accounts.";
const MESSAGES = [
  "What is the capital of France?",
  "Tell me a short story about a cat.",
  "Tell me a short story about a cat and a dog.",
  "Tell me a story about a brave fox and a red balloon.",
  "Add 3 and 5.",
  "Who are you?",
  // Long ones fill most of a slot.
  `Tell me a short story about a cat. ${"It is a small and happy cat with a blue lantern. ".repeat(3)}`,
  `Who are you? ${"Once upon a time, a happy seal lived in a small village. ".repeat(3)}`,
];
const GRAMMARS = [
  'root ::= "yes, " ("indeed" | "of course")',
  "root ::= [0-9]+ [a-z]*",
  'root ::= "{" [^}]* "}"',
];
/** No token is a part of a character beyond four bytes of UTF-8, so that a drawn token fails. */
export const DEAD_END = 'root ::= "a\\U7FFFFFFF"';
const STOPS = [["("], ["Z"], ["xyzzy", "a"], [":", "\n"]];
const CLOSING = "\n</think>\n\n";

/** A stream of random numbers of 32 bits. */
interface Random {
  uint32: () => number;
}

type Loaded = Pick<LoadedChatModel, "llama" | "model" | "driver">;

export class FuzzJobs {
  readonly random: { below: (end: number) => number; chance: (probability: number) => boolean };
  readonly #loaded: Loaded;
  readonly #grammars: ReadonlyMap<string, LlamaGrammar>;
  readonly #slotTokens: number;
  #count = 0;

  static async create(loaded: Loaded, slotTokens: number, random: Random): Promise<FuzzJobs> {
    const grammars = new Map<string, LlamaGrammar>();
    for (const text of [...GRAMMARS, DEAD_END]) {
      grammars.set(text, await loaded.llama.createGrammar({ grammar: text }));
    }
    return new FuzzJobs(loaded, grammars, slotTokens, random);
  }

  private constructor(
    loaded: Loaded,
    grammars: ReadonlyMap<string, LlamaGrammar>,
    slotTokens: number,
    random: Random,
  ) {
    this.#loaded = loaded;
    this.#grammars = grammars;
    this.#slotTokens = slotTokens;
    const below = (end: number) => Math.floor((random.uint32() / 2 ** 32) * end);
    this.random = { below, chance: (probability) => below(1000) < probability * 1000 };
  }

  next(): FuzzJob {
    const { below, chance } = this.random;
    this.#count += 1;
    const tenant = `tenant-${below(3)}`;
    const choices = chance(0.15) ? 2 + below(2) : 1;
    return this.make(`job-${this.#count}`, tenant, this.#recipe(), choices);
  }

  #recipe(): Recipe {
    const { below, chance } = this.random;
    const { logprobs } = this.#loaded.driver.capabilities;
    const one = <T>(list: readonly T[]): T => list[below(list.length)] as T;
    const thinks = chance(0.15);
    const recipe: Recipe = {
      message: one(MESSAGES),
      system: one(["", PUBLIC_SYSTEM, PRIVATE_SYSTEM]),
      sampling: {},
      grammar: chance(0.2) ? one(GRAMMARS) : null,
      stop: chance(0.2) ? one(STOPS) : [],
      maxTokens: one([1, 2, 12, 30, 1000]),
      thinkingBudget: thinks ? one([1, 5]) : null,
      topLogprobs: logprobs && chance(0.15) ? one([0, 5]) : null,
    };
    if (chance(0.3)) {
      const { eot, eos } = this.#loaded.model.tokens;
      return { ...recipe, sampling: { logitBias: [{ token: eot ?? eos ?? 0, bias: one([2, 3, 4]) }] } };
    }
    if (chance(0.1)) return { ...recipe, sampling: { presencePenalty: 0.5 } };
    if (chance(0.1)) return { ...recipe, sampling: { temperature: 1, topK: 20, seed: below(1000) } };
    const doomed = this.#loaded.driver.name === "batch" && chance(0.1);
    return doomed
      ? { ...recipe, thinkingBudget: null, grammar: DEAD_END, sampling: { temperature: 1 } }
      : recipe;
  }

  make(id: string, tenant: string, recipe: Recipe, choices = 1): FuzzJob {
    const promptTokens = this.promptTokens(recipe);
    const room = this.#slotTokens - promptTokens.length;
    const { model } = this.#loaded;
    const generations = Array.from(
      { length: choices },
      (_, choice): Generation => ({
        id,
        choice,
        order: { rank: 0, leaveFree: 0 },
        isFollowed: true,
        inputTokens: promptTokens,
        promptLength: promptTokens.length,
        spoken: null,
        cacheScope: tenant,
        maxTokens: Math.min(recipe.maxTokens, room),
        // Each generation's own object: by it, the driver's samplers are told apart.
        sampling: { ...GREEDY, ...recipe.sampling },
        grammar: recipe.grammar === null ? null : (this.#grammars.get(recipe.grammar) ?? null),
        thinkingBudget:
          recipe.thinkingBudget === null
            ? null
            : { tokens: recipe.thinkingBudget, closing: model.tokenize(CLOSING, true) },
        topLogprobs: recipe.topLogprobs,
        output: new GenerationOutput({
          begin: recipe.thinkingBudget === null ? "answering" : "thinking",
          tools: [],
          toolCallForm: "hermes",
          toolCallId: (index) => `call_${index}`,
          stop: recipe.stop,
          detokenize: (tokens) => model.detokenize(tokens as Token[], true),
          tokenBytes: recipe.topLogprobs === null ? null : tokenBytes(model),
          choice,
        }),
        cancelled: false,
      }),
    );
    return { id, tenant, recipe, generations };
  }

  promptTokens({ system, message, thinkingBudget }: Recipe): readonly Token[] {
    const head = system === "" ? "" : `<|im_start|>system\n${system}<|im_end|>\n`;
    const begin = thinkingBudget === null ? "<think>\n\n</think>\n\n" : "<think>\n";
    const text = `${head}<|im_start|>user\n${message}<|im_end|>\n<|im_start|>assistant\n${begin}`;
    return this.#loaded.model.tokenize(text, true);
  }

  publicPrefix(): readonly Token[] {
    return this.#loaded.model.tokenize(`<|im_start|>system\n${PUBLIC_SYSTEM}<|im_end|>\n`, true);
  }
}
