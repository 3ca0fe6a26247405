/**
 * How many tokens of reasoning each of OpenAI's `reasoning_effort`s allows; with none, thinking is off. Qwen's models
 * know budgets, no efforts: low, medium and high are what Google's OpenAI-compatible API makes of them.
 * https://ai.google.dev/gemini-api/docs/openai
 */
export const EFFORT_TOKENS = { none: 0, minimal: 512, low: 1_024, medium: 8_192, high: 24_576 } as const;

type ReasoningEffort = keyof typeof EFFORT_TOKENS;
export const REASONING_EFFORTS = Object.keys(EFFORT_TOKENS) as ReasoningEffort[];
