export interface CommonOptions {
  /** A name of models.ts, or a path. */
  model: string;
  threads: number;
  repeat: number;
  /** Path of a llama-server to measure beside; null: none. */
  llamaServer: string | null;
  output: "tables" | "json";
}

export interface EngineOptions extends CommonOptions {
  scenario: "engine";
  slots: number[];
  tokens: number;
  promptTokens: number;
  baseline: "none" | "library";
  /** Path of another checkout's contender-child.ts to measure beside; null: none. */
  against: string | null;
}

export interface PrefillGapOptions extends CommonOptions {
  scenario: "prefill-gap";
  streams: number;
  promptTokens: number;
}

export interface PrefixOptions extends CommonOptions {
  scenario: "prefix";
  slots: number;
  jobs: number;
}

export interface AttentionOptions extends CommonOptions {
  scenario: "attention";
  slots: number;
  depths: number[];
  parts: number[];
}

export interface EtaOptions extends CommonOptions {
  scenario: "eta";
  slots: number;
  jobs: number;
}

export interface PreemptionOptions extends CommonOptions {
  scenario: "preemption";
  slots: number;
  requests: number;
  gapMs: number;
}

export interface ReadersOptions extends CommonOptions {
  scenario: "readers";
  slots: number;
  readers: number;
  /** Events of the stream that all of them read. */
  perSecond: number;
  chats: number;
}

export const BATCH_PARTS = ["overhead", "volume", "mixed", "prefix", "fairness"] as const;
export type BatchPart = (typeof BATCH_PARTS)[number];

export interface BatchOptions extends CommonOptions {
  scenario: "batch";
  parts: BatchPart[];
  slots: number;
  /** The share of the lines and jobs of a whole run. */
  percent: number;
}

export const HOSTILE_PROMPTS = [
  "20k-messages",
  "letters",
  "prose",
  "four-letters",
  "tools",
  "schema",
  "100k-messages",
] as const;
export type HostilePrompt = (typeof HOSTILE_PROMPTS)[number];

export interface HostilePromptsOptions extends CommonOptions {
  scenario: "hostile-prompts";
  prompts: HostilePrompt[];
  slots: number;
  /** Measured chats of each phase, at least. */
  requests: number;
}

export type BenchCommand =
  | AttentionOptions
  | BatchOptions
  | EtaOptions
  | HostilePromptsOptions
  | { scenario: "help"; text: string }
  | EngineOptions
  | PreemptionOptions
  | PrefillGapOptions
  | PrefixOptions
  | ReadersOptions;
