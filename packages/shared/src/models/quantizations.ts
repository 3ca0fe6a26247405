/**
 * Bits per weight over a whole file: llama.cpp's measurements on Llama-3.1-8B (`tools/quantize/README.md`), Q4_0, Q5_0
 * and BF16 by the layout of their blocks. Qwen files from 4B up come within 8% of it
 * (`shipped-catalogue.test.ts`).
 */
const BITS_PER_WEIGHT: Record<string, number> = {
  Q2_K: 3.16,
  Q3_K_M: 4,
  IQ4_XS: 4.46,
  Q4_0: 4.66,
  Q4_K_S: 4.67,
  Q4_K_M: 4.89,
  Q5_0: 5.6,
  Q5_K_S: 5.57,
  Q5_K_M: 5.7,
  Q6_K: 6.56,
  Q8_0: 8.5,
  F16: 16,
  BF16: 16,
};

export const KNOWN_QUANTIZATIONS = Object.keys(BITS_PER_WEIGHT);

/** In capitals, as llama.cpp spells them; repositories differ in that. */
export function quantizationName(text: string): string {
  return text.toUpperCase();
}

/** What a file of so many weights takes, computed; null: nobody knows this quantization's density. */
export function computedFileBytes(parameters: number, quantization: string): number | null {
  const bits = BITS_PER_WEIGHT[quantization];
  return bits === undefined ? null : Math.round((parameters * bits) / 8);
}
