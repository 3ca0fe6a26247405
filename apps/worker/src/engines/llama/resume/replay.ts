import type { FinishReason } from "@quern/shared/contract/generation";
import {
  addDelta,
  nothingPublished,
  type PublishedChoice,
  saysTheSame,
} from "@quern/shared/contract/published-choice";
import type { Token } from "node-llama-cpp";
import type { GenerationOutput } from "../output/generation-output.ts";

/** What an earlier attempt has generated, and where it stood: a generation goes on behind it. */
export interface Spoken {
  readonly tokens: readonly Token[];
  /** Those that a grammar bound: its state is that of these; null: it did not hold yet. */
  readonly bound: readonly Token[] | null;
  /** The thinking was closed by force already. */
  readonly budgetSpent: boolean;
  /** The generation had ended with them; null: it goes on. */
  readonly ended: { readonly finishReason: FinishReason; readonly completionTokens: number } | null;
}

export interface ReplayOptions {
  output: GenerationOutput;
  hasGrammar: boolean;
  thinkingBudgetTokens: number | null;
  maxTokens: number;
}

/** Tokens that are replayed in one go; other requests get a step in between. */
const TOKENS_PER_TURN = 256;

/**
 * Leads the tokens of an earlier attempt through the stages of `output`, which then stand where that attempt's stood:
 * half a character, half a marker, a stop string that has begun. What comes out has been published and is dropped.
 * @returns null when it is not what was published (another model, another version): `output` is void then, and the
 * generation has to begin anew.
 */
export async function replay(
  published: PublishedChoice,
  options: ReplayOptions,
  nextTurn: () => Promise<unknown>,
): Promise<Spoken | null> {
  const { output, hasGrammar, thinkingBudgetTokens, maxTokens } = options;
  const tokens = published.tokens as Token[];
  let boundFrom: number | null = null;
  let budgetSpent = false;
  for (const [at, token] of tokens.entries()) {
    if (at > 0 && at % TOKENS_PER_TURN === 0) await nextTurn();
    if (output.stopped) return null;
    if (hasGrammar && output.phase === "answering") boundFrom ??= at;
    output.push(token, published.probabilities[at] ?? null);
    const thinks = output.phase === "thinking";
    if (thinkingBudgetTokens !== null && thinks && output.reasoningTokens >= thinkingBudgetTokens)
      budgetSpent = true;
  }
  let { ended } = published;
  if (ended !== null && !output.stopped) output.end();
  const said = nothingPublished();
  for (const delta of output.takeUnsent({ promptTokens: 0, ended })) addDelta(said, delta);
  if (!saysTheSame(said, published)) return null;
  if (ended === null && tokens.length >= maxTokens) {
    output.end();
    ended = { finishReason: "length", completionTokens: tokens.length };
  }
  const bound = boundFrom === null ? null : tokens.slice(boundFrom);
  return { tokens, bound, budgetSpent, ended };
}
