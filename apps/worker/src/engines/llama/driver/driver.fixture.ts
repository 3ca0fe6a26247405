import { fileURLToPath } from "node:url";
import type { Token } from "node-llama-cpp";
import { engineOptions } from "../../../model-options.fixture.ts";
import type { EngineOptions } from "../../../protocol/engine-options.ts";
import { type LoadedChatModel, loadChatModel } from "../load-model.ts";
import type { Driver, FeedOutcome, Sampler, TokenProbability } from "./driver.ts";
import type { SamplerOptions } from "./sampling.ts";

export const TINY_MODEL = pathOf("tiny-qwen3-q8_0.gguf");
export const TINY_MOE_MODEL = pathOf("tiny-qwen3moe-q8_0.gguf");

export const GREEDY: SamplerOptions = {
  temperature: 0,
  topP: 1,
  topK: 0,
  minP: 0,
  seed: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  repetitionPenalty: 1,
  logitBias: [],
};

export const SLOTS = 6;

export function openModel(
  modelPath: string,
  driver: Driver["name"],
  changes: Partial<EngineOptions> = {},
): Promise<LoadedChatModel> {
  return loadChatModel(engineOptions(modelPath, { driver, slots: SLOTS, contextTokens: 512, ...changes }));
}

/** A user's message, as the chat template of the tiny models writes it. */
export function promptTokens({ model }: LoadedChatModel, message: string): Token[] {
  const text = `<|im_start|>user\n${message}<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n`;
  return model.tokenize(text, true);
}

export interface Stream {
  slot: number;
  /** What the slot's cache holds already. */
  held?: number;
  /** What is fed first. */
  tokens: readonly Token[];
  sampler: Sampler;
  topLogprobs?: number;
}

/** Steps all streams side by side. @returns the tokens that each one sampled. */
export async function sampleTokens(
  driver: Driver,
  streams: readonly Stream[],
  steps: number,
): Promise<Token[][]> {
  return (await sample(driver, streams, steps)).map((sampled) => sampled.map(({ token }) => token));
}

export interface Sampled {
  token: Token;
  probability: TokenProbability | null;
}

export async function sample(
  driver: Driver,
  streams: readonly Stream[],
  steps: number,
): Promise<Sampled[][]> {
  const states = streams.map((stream) => ({
    ...stream,
    position: stream.held ?? 0,
    next: stream.tokens,
    sampled: [] as Sampled[],
  }));
  for (let step = 0; step < steps; step += 1) {
    const outcomes = await driver.step(
      states.map(({ slot, position, next, sampler, topLogprobs = null }) => ({
        slot,
        position,
        tokens: next,
        sampler,
        topLogprobs,
      })),
    );
    for (const [at, state] of states.entries()) {
      const sampled = sampledIn(outcomes[at]);
      state.position += state.next.length;
      state.next = [sampled.token];
      state.sampled.push(sampled);
    }
  }
  return states.map(({ sampled }) => sampled);
}

export function sampledIn(outcome: FeedOutcome | undefined): Sampled {
  if (outcome?.kind === "sampled") return outcome;
  throw outcome?.kind === "failed" ? outcome.error : new Error("nothing was sampled");
}

/** Puts tokens behind what the slot holds, and samples nothing. */
export async function feed(
  driver: Driver,
  slot: number,
  position: number,
  tokens: readonly Token[],
): Promise<void> {
  const [outcome] = await driver.step([{ slot, position, tokens, sampler: null, topLogprobs: null }]);
  if (outcome?.kind === "failed") throw outcome.error;
}

export async function emptySlots(driver: Driver, slots = SLOTS): Promise<void> {
  for (let slot = 0; slot < slots; slot += 1) await driver.truncate(slot, 0);
}

function pathOf(name: string): string {
  return fileURLToPath(new URL(`../../../../../../models/${name}`, import.meta.url));
}
