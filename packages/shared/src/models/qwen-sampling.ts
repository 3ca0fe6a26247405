import type { Sampling } from "../contract/generation.ts";

/** What Qwen recommends for Qwen3, per mode (https://huggingface.co/Qwen/Qwen3-8B, "Best Practices"). */
export const QWEN_SAMPLING: { thinking: Sampling; plain: Sampling } = {
  thinking: { temperature: 0.6, topP: 0.95, topK: 20, minP: 0 },
  plain: { temperature: 0.7, topP: 0.8, topK: 20, minP: 0 },
};
