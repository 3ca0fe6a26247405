import type { Sampling } from "../contract/generation.ts";
import type { GoodFor } from "./purposes.ts";
import { QWEN_SAMPLING } from "./qwen-sampling.ts";

/** What all sizes of one Qwen release share. An entry of models.yaml can say otherwise, field by field. */
interface FamilyFacts {
  kind: "chat" | "embedding";
  /** `YYYY-MM` of the weights. */
  released: string;
  /** GGUF `general.architecture` of its dense and of its mixture-of-experts sizes; null: there are none. */
  architectures: { dense: string | null; moe: string | null };
  nativeContextTokens: number;
  /** How far YaRN stretches it; null: not at all, or its authors don't say. */
  yarnContextTokens: number | null;
  thinking: "optional" | "always" | "never";
  toolCalls: "hermes" | "xml" | "none";
  fillInTheMiddle: boolean;
  sampling: { thinking: Sampling; plain: Sampling };
  quantizations: string[];
  goodFor: GoodFor;
}

/** The quantizations that nearly every repository of GGUF files has, from coarse to fine. */
const USUAL = ["Q2_K", "Q3_K_M", "Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0"];
/** Qwen's own repositories of Qwen3 begin at four bits. */
const FROM_FOUR_BITS = USUAL.slice(2);

const CHAT = {
  kind: "chat",
  thinking: "never",
  toolCalls: "none",
  fillInTheMiddle: false,
  sampling: QWEN_SAMPLING,
  quantizations: USUAL,
} as const satisfies Partial<FamilyFacts>;

/**
 * Of each release as it is known for; docs/models.md says what of it was looked up, and where. The model cards on
 * Hugging Face (Qwen/<model>) have the last word.
 */
export const QWEN_FAMILIES = {
  "qwen1.5": {
    ...CHAT,
    released: "2024-02",
    architectures: { dense: "qwen2", moe: "qwen2moe" },
    nativeContextTokens: 32_768,
    yarnContextTokens: null,
    goodFor: { general: { level: "fair", reason: "the first open generation, for comparisons" } },
  },
  qwen2: {
    ...CHAT,
    released: "2024-06",
    architectures: { dense: "qwen2", moe: "qwen2moe" },
    nativeContextTokens: 32_768,
    yarnContextTokens: null,
    goodFor: {
      general: { level: "fair", reason: "Qwen2.5 and Qwen3 do better at its size" },
      multilingual: { level: "fair", reason: "about 30 languages" },
    },
  },
  "qwen2.5": {
    ...CHAT,
    released: "2024-09",
    architectures: { dense: "qwen2", moe: null },
    nativeContextTokens: 32_768,
    yarnContextTokens: null,
    toolCalls: "hermes",
    goodFor: {
      general: { level: "good", reason: "answers directly, follows instructions" },
      coding: { level: "fair", reason: "general model with much code in its training" },
      maths: { level: "fair", reason: "short worked solutions" },
      multilingual: { level: "good", reason: "29 languages" },
      agent: { level: "fair", reason: "calls tools" },
    },
  },
  "qwen2.5-coder": {
    ...CHAT,
    released: "2024-11",
    architectures: { dense: "qwen2", moe: null },
    nativeContextTokens: 32_768,
    yarnContextTokens: null,
    toolCalls: "hermes",
    fillInTheMiddle: true,
    goodFor: { coding: { level: "best", reason: "trained on code, completes in the middle" } },
  },
  "qwen2.5-math": {
    ...CHAT,
    released: "2024-09",
    architectures: { dense: "qwen2", moe: null },
    nativeContextTokens: 4_096,
    yarnContextTokens: null,
    goodFor: { maths: { level: "best", reason: "trained for worked solutions in English and Chinese" } },
  },
  qwq: {
    ...CHAT,
    released: "2025-03",
    architectures: { dense: "qwen2", moe: null },
    // Beyond 8,192 tokens of prompt its card asks for YaRN.
    nativeContextTokens: 32_768,
    yarnContextTokens: 131_072,
    thinking: "always",
    toolCalls: "hermes",
    sampling: { ...QWEN_SAMPLING, thinking: { temperature: 0.6, topP: 0.95, topK: 40, minP: 0 } },
    goodFor: {
      reasoning: { level: "good", reason: "always thinks, at length" },
      maths: { level: "good", reason: "always thinks, at length" },
      coding: { level: "fair", reason: "thinks before it writes" },
    },
  },
  qwen3: {
    ...CHAT,
    released: "2025-04",
    architectures: { dense: "qwen3", moe: "qwen3moe" },
    nativeContextTokens: 32_768,
    yarnContextTokens: 131_072,
    thinking: "optional",
    toolCalls: "hermes",
    quantizations: FROM_FOUR_BITS,
    goodFor: {
      general: { level: "best", reason: "thinks or answers directly, as each request asks" },
      reasoning: { level: "good", reason: "thinks when asked" },
      maths: { level: "good", reason: "thinks when asked" },
      coding: { level: "good", reason: "thinks before it writes" },
      multilingual: { level: "best", reason: "119 languages and dialects" },
      agent: { level: "good", reason: "calls tools, with or without thinking" },
    },
  },
  "qwen3-instruct-2507": {
    ...CHAT,
    released: "2025-07",
    architectures: { dense: "qwen3", moe: "qwen3moe" },
    nativeContextTokens: 262_144,
    yarnContextTokens: null,
    toolCalls: "hermes",
    goodFor: {
      general: { level: "best", reason: "answers directly, long contexts" },
      maths: { level: "fair", reason: "works it out in the answer" },
      coding: { level: "good", reason: "answers directly, long contexts" },
      multilingual: { level: "best", reason: "119 languages and dialects, long tail improved" },
      agent: { level: "good", reason: "calls tools without the wait for a thought" },
    },
  },
  "qwen3-thinking-2507": {
    ...CHAT,
    released: "2025-07",
    architectures: { dense: "qwen3", moe: "qwen3moe" },
    nativeContextTokens: 262_144,
    yarnContextTokens: null,
    thinking: "always",
    toolCalls: "hermes",
    goodFor: {
      reasoning: { level: "best", reason: "always thinks, trained for the hardest questions" },
      maths: { level: "best", reason: "always thinks, trained for competition maths" },
      coding: { level: "good", reason: "thinks before it writes" },
      agent: { level: "fair", reason: "calls tools, after a long thought" },
    },
  },
  "qwen3-coder": {
    ...CHAT,
    released: "2025-07",
    architectures: { dense: null, moe: "qwen3moe" },
    nativeContextTokens: 262_144,
    yarnContextTokens: 1_048_576,
    toolCalls: "xml",
    fillInTheMiddle: true,
    goodFor: {
      coding: { level: "best", reason: "trained for coding agents, completes in the middle" },
      agent: { level: "best", reason: "trained to work with tools over many turns" },
    },
  },
  "qwen3-embedding": {
    ...CHAT,
    kind: "embedding",
    released: "2025-06",
    architectures: { dense: "qwen3", moe: null },
    nativeContextTokens: 32_768,
    yarnContextTokens: null,
    quantizations: FROM_FOUR_BITS,
    goodFor: { embedding: { level: "best", reason: "vectors for search, over 100 languages" } },
  },
} satisfies Record<string, FamilyFacts>;

export type QwenFamily = keyof typeof QWEN_FAMILIES;

export function familyFacts(family: QwenFamily): FamilyFacts {
  return QWEN_FAMILIES[family];
}
