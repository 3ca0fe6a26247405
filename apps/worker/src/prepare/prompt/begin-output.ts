import type { Token } from "node-llama-cpp";
import type { OutputBegin } from "../../protocol/prepared-request.ts";

/**
 * Qwen's own words for a thought that is cut short (Qwen3 Technical Report, section on thinking budgets), so that the
 * model answers from where it has got.
 */
const CLOSE_THINKING =
  "\n\nConsidering the limited time by the user, I have to give the solution based on the thinking directly now.\n</think>\n\n";
const NO_THOUGHTS = "<think>\n\n</think>\n\n";

export interface AnswerBegin {
  /** Put behind the prompt, as if the model had begun its answer so. */
  readonly tokens: readonly Token[];
  readonly phase: OutputBegin;
}

export interface BeginOptions {
  /** Where the rendered prompt ends. */
  phase: OutputBegin;
  /** Whether the request asks for thoughts, and whether the model leaves the choice. */
  thinking: boolean;
  modelThinking: "optional" | "always" | "never";
  /** A grammar binds the content, so where the content begins must be known from the first token. */
  constrained: boolean;
  budgetTokens: number | null;
  tokenize: (text: string) => Token[];
}

/** How an answer begins where the prompt leaves it open, and with no thoughts allowed although the prompt opens them. */
export function beginOutput(options: BeginOptions): AnswerBegin {
  const { phase, thinking, modelThinking, constrained, budgetTokens, tokenize } = options;
  if (phase === "thinking" && budgetTokens === 0)
    return { tokens: tokenize(CLOSE_THINKING), phase: "answering" };
  if (phase !== "undecided" || !constrained) return { tokens: [], phase };
  if (modelThinking === "never") return { tokens: [], phase: "answering" };
  if (thinking && budgetTokens !== 0) return { tokens: tokenize("<think>\n"), phase: "thinking" };
  return { tokens: tokenize(NO_THOUGHTS), phase: "answering" };
}

/** The tokens that end thoughts whose budget is spent. */
export function closingTokens(tokenize: (text: string) => Token[]): readonly Token[] {
  return tokenize(CLOSE_THINKING);
}
