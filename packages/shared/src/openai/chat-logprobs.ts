import type { TokenLogprob } from "../contract/generation.ts";

/** OpenAI's form of a choice's log-probabilities; refusals are never told apart from content. */
export interface ChatLogprobs {
  content: ChatTokenLogprob[];
  refusal: null;
}

interface ChatTokenLogprob extends TokenProbability {
  top_logprobs: TokenProbability[];
}

/** `bytes` because a token may hold half a character, which `token` can't show. */
interface TokenProbability {
  token: string;
  logprob: number;
  bytes: number[];
}

export function toChatLogprobs(tokens: readonly TokenLogprob[]): ChatLogprobs {
  const content = tokens.map(({ top, ...own }) => ({ ...own, top_logprobs: top }));
  return { content, refusal: null };
}
