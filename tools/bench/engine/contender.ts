import type { RoundTrace, Workload } from "./workload.ts";

/**
 * - `quern`: the worker's engine
 * - `completion`: node-llama-cpp's LlamaCompletion, one for each sequence
 * - `evaluate`: node-llama-cpp's `sequence.evaluate`, one independent loop for each sequence
 * - `quern-against`: the worker's engine of another checkout
 * - `llama-server`: `/completion`, the answer whole
 * - `llama-server-stream`: `/completion`, token by token
 */
export type ContenderName =
  | "quern"
  | "quern-against"
  | "completion"
  | "evaluate"
  | "llama-server"
  | "llama-server-stream";

/** Those that run in a child process of their own, which loads the library. */
export type ChildContenderName = Extract<ContenderName, "quern" | "completion" | "evaluate">;

export interface ContenderOptions {
  modelPath: string;
  slots: number;
  /** Prompt and completion of one slot together. */
  contextTokens: number;
  /** For decoding and for prompts. */
  threads: number;
}

/** A loaded model that is ready for rounds. */
export interface Contender {
  readonly name: ContenderName;
  /** Of the llama.cpp that it runs. */
  readonly version: string;
  /** One round at a time. Rejects when the contender can't go on, or its process ended. */
  run: (workload: Workload) => Promise<RoundTrace>;
}
