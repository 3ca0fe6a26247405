import type { GeneratedChoice, GenerationResult, TokenLogprob, Usage } from "./generation.ts";
import { nothingPublished, type PublishedChoice, publishedChoices } from "./published-choice.ts";
import type { TokenEvent } from "./token-event.ts";

/** What a job that ends without an answer leaves behind; nulls: it has published nothing. */
export interface PartialAnswer {
  usage: Usage | null;
  result: GenerationResult | null;
}

/**
 * The answer of a job that was cancelled, has expired or has failed, as its stream tells it. It has all the choices that
 * were asked for: those that have published nothing are empty. Each is cut off, so none has a finish reason.
 */
export function partialAnswer(events: readonly TokenEvent[], choiceCount: number): PartialAnswer {
  const published = publishedChoices(events);
  if (published.length === 0) return { usage: null, result: null };
  const count = Math.max(choiceCount, published.length);
  const choices = Array.from({ length: count }, (_, at) => published[at] ?? nothingPublished());
  const logprobs = publishedLogprobs(events);
  const [first, ...alternatives] = choices.map((choice, at) => cutOff(choice, logprobs.get(at) ?? null));
  return { usage: usageOf(choices), result: { ...(first as GeneratedChoice), alternatives } };
}

function cutOff(
  { text, reasoning, toolCalls }: PublishedChoice,
  logprobs: TokenLogprob[] | null,
): GeneratedChoice {
  return { text, reasoning, toolCalls, finishReason: null, logprobs };
}

function usageOf(choices: readonly PublishedChoice[]): Usage {
  const sum = (count: (choice: PublishedChoice) => number) =>
    choices.reduce((total, choice) => total + count(choice), 0);
  return {
    promptTokens: Math.max(...choices.map(({ promptTokens }) => promptTokens)),
    completionTokens: sum(publishedTokens),
    reasoningTokens: sum(({ reasoningTokens }) => reasoningTokens),
    cachedTokens: 0,
  };
}

function publishedTokens({ tokens, ended }: PublishedChoice): number {
  return ended?.completionTokens ?? tokens.length;
}

/** Log-probabilities by choice, since the last restart. A choice without any is absent. */
function publishedLogprobs(events: readonly TokenEvent[]): Map<number, TokenLogprob[]> {
  const byChoice = new Map<number, TokenLogprob[]>();
  for (const event of events) {
    if (event.type === "restart") byChoice.clear();
    if (event.type !== "delta" || event.data.logprobs === undefined) continue;
    const { choice = 0, logprobs } = event.data;
    const earlier = byChoice.get(choice);
    if (earlier === undefined) byChoice.set(choice, [...logprobs]);
    else earlier.push(...logprobs);
  }
  return byChoice;
}
