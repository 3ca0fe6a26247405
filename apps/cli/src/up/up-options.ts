import { availableParallelism } from "node:os";
import type { EngineFlags } from "../engine-flags.ts";

export interface UpOptions {
  port: number;
  host: string;
  dataDir: string;
  /** At least one. */
  models: string[];
  /** Of each model. */
  workers: number;
  engine: EngineFlags;
  /** Of each worker's engine; null: its share of the cores, as far as the model gains from them. */
  threads: number | null;
  /** Each worker's share. */
  cores: number;
}

export const DEFAULT_MODEL = "tiny-qwen3";
/** Decoding is bound by memory bandwidth long before this many cores. */
const MAX_CORES = 16;

/** An equal share of this machine's cores for each of so many workers. */
export function coresEach(workers: number): number {
  return Math.min(Math.max(Math.floor(availableParallelism() / workers), 1), MAX_CORES);
}
