import { resolve } from "node:path";
import { z } from "zod";

/** A LoRA adapter in GGUF, which changes what a model says. */
export interface LoraAdapter {
  path: string;
  /** 1: as it was trained; 0: without effect. */
  scale: number;
}

/** An adapter as people write it. A relative path is taken from `baseDir`. */
export function loraAdapterSchema(baseDir: string) {
  return z.strictObject({
    path: z
      .string()
      .min(1)
      .transform((path) => resolve(baseDir, path)),
    scale: z.number().default(1),
  });
}
