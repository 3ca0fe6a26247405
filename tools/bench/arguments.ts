import { parseArgs } from "node:util";
import { QuernError } from "@quern/shared/contract/errors";
import { DEMO_MODEL, MODEL_NAMES } from "./models.ts";

interface CommonOptions {
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
  /** Of the lines and jobs of a whole run. */
  percent: number;
}

export type BenchCommand =
  | AttentionOptions
  | BatchOptions
  | EtaOptions
  | { scenario: "help"; text: string }
  | EngineOptions
  | PreemptionOptions
  | PrefillGapOptions
  | PrefixOptions
  | ReadersOptions;

const USAGE = `Measures Quern's engine, alone or beside llama.cpp's llama-server, and Quern as a whole.

  npm run bench -- <scenario> [options]        <scenario> --help tells its options

scenarios
  engine         decoding speed over numbers of slots
  prefill-gap    what running streams notice of a long prompt that arrives
  prefix         what jobs gain from sharing a system prompt
  attention      what a filled cache costs, with and without flash attention, by the size of a prompt's parts
  eta            how many jobs begin and end when their submitters were told, through gateway, Redis and a worker
  preemption     how long interactive jobs wait while batch jobs fill every slot, gateway and Redis included
  readers        what a small chat notices of a stream with very many readers, and what each event costs the gateway
  batch          what a batch costs beside its engine, how much memory, and what others notice of it
`;

const COMMON_USAGE = `
every scenario
  --model M            ${MODEL_NAMES.join(", ")} (random weights, written once), or a GGUF file (qwen3-0.6b)
  --threads N          of each contender (1)
  --llama-server BIN   measures this llama-server as well, in turns with the others
  --json               the figures of every round as JSON on stdout; npm run --silent keeps npm's own lines out
  -h, --help
`;

const SCENARIO_USAGE = {
  engine: `Decoding speed: every slot gets a short prompt at once. Contenders take turns, round after round.

  npm run bench -- engine [options]

  --slots N,N,…        numbers of slots to measure (1,4,8,16,32)
  --tokens N           completion tokens of each request (64)
  --prompt-tokens N    prompt tokens of each request (16)
  --repeat N           rounds (5)
  --baseline           also node-llama-cpp's own ways: LlamaCompletion, and independent evaluate loops
${COMMON_USAGE}`,
  "prefill-gap": `A long prompt arrives while streams run: how long do they stand still, and how long does it wait?

  npm run bench -- prefill-gap [options]

  --streams N          running streams (8); the long prompt gets a slot of its own
  --prompt-tokens N    tokens of the long prompt (2048)
  --repeat N           rounds (3)
${COMMON_USAGE}`,
  prefix: `Jobs in random order, each with one of 5 system prompts of 256 tokens; in turns with as many that share none.

  npm run bench -- prefix [options]

  --slots N            slots, and jobs that run at once (8)
  --jobs N             jobs (200)
  --repeat N           rounds (1)
${COMMON_USAGE}`,
  attention: `Time of a decode behind caches of several lengths, and of parts of a prompt, with flash attention on and off.

  npm run bench -- attention [options]

  --slots N            slots that decode together (8)
  --depths N,N,…       tokens in the cache before (32,512,1024)
  --parts N,N,…        tokens of a part of a prompt, in one slot (16,63,64,128)
  --repeat N           measurements of each, the median counts (5)
${COMMON_USAGE}`,
  eta: `Bursts of jobs on a whole cluster of one worker: how good were the estimates that each of them was given?

  npm run bench -- eta [options]

  --slots N            slots of the worker (8)
  --jobs N             jobs of a round (400)
  --repeat N           rounds (3)
  --model M            the demo model, unless told; its answers end by themselves
${COMMON_USAGE}`,
  preemption: `Interactive jobs arrive while batch jobs fill every slot; before that, each alone. A gateway, a Redis and a worker.

  npm run bench -- preemption [options]

  --slots N            slots (8), of which one is reserved from 4 on
  --requests N         interactive jobs of each phase (200)
  --gap N              milliseconds between two arrivals on average (50)
  --repeat N           rounds (3)
  --model M            as everywhere, but tiny unless told: with a slow model the wait is its step
${COMMON_USAGE}`,
  readers: `Short chats alone, then beside one stream with very many readers. A gateway, a Redis and a worker.

  npm run bench -- readers [options]

  --readers N          connections that read the stream (1000)
  --rate N             events of the stream in a second (25)
  --chats N            chats of each phase, one after the other (50)
  --slots N            slots of the worker (8)
  --repeat N           rounds (3)
  --model M            the demo model, unless told
${COMMON_USAGE}`,
  batch: `Batches from their upload to their files. A gateway, a scheduler, a worker and a Redis for each part.

  npm run bench -- batch [options]

  --part P,P,…         (all)
       overhead        the same lines through the engine alone and as a batch, in turns
       volume          50,000 lines of 8 KiB, and 10,000, through an engine that answers at once: lines/s, memory
       mixed           interactive jobs alone, and beside a batch that fills every slot
       prefix          5 system prompts in random order: lines ordered by prefix, and as given
       fairness        a tenant with 100 lines beside one with 10,000
  --slots N            slots of the worker (8)
  --percent N          of the lines and jobs of a whole run (100)
  --repeat N           rounds (3)
  --model M            of overhead and prefix; the others take tiny, or none
${COMMON_USAGE}`,
};

const COMMON_OPTIONS = {
  model: { type: "string", default: "qwen3-0.6b" },
  threads: { type: "string", default: "1" },
  "llama-server": { type: "string" },
  json: { type: "boolean", default: false },
  help: { type: "boolean", short: "h", default: false },
} as const;

/** @throws QuernError `config_invalid` that names the option and what it takes. */
export function readArguments(args: readonly string[]): BenchCommand {
  const [scenario, ...rest] = args;
  switch (scenario) {
    case "engine":
      return readEngine(rest);
    case "prefill-gap":
      return readPrefillGap(rest);
    case "prefix":
      return readPrefix(rest);
    case "attention":
      return readAttention(rest);
    case "eta":
      return readEta(rest);
    case "preemption":
      return readPreemption(rest);
    case "readers":
      return readReaders(rest);
    case "batch":
      return readBatch(rest);
    case undefined:
    case "--help":
    case "-h":
      return { scenario: "help", text: USAGE + COMMON_USAGE };
    default:
      throw invalid(`there is no scenario ${scenario}`);
  }
}

function readEngine(args: string[]): BenchCommand {
  const values = parse("engine", args, {
    slots: { type: "string", default: "1,4,8,16,32" },
    tokens: { type: "string", default: "64" },
    "prompt-tokens": { type: "string", default: "16" },
    repeat: { type: "string", default: "5" },
    baseline: { type: "boolean", default: false },
  });
  if (values.help) return { scenario: "help", text: SCENARIO_USAGE.engine };
  return {
    scenario: "engine",
    ...common(values),
    slots: wholeNumbers("slots", values.slots),
    // One token has no distance to another one: there would be no speed.
    tokens: wholeNumber("tokens", values.tokens, 2),
    promptTokens: wholeNumber("prompt-tokens", values["prompt-tokens"]),
    baseline: values.baseline ? "library" : "none",
  };
}

function readPrefillGap(args: string[]): BenchCommand {
  const values = parse("prefill-gap", args, {
    streams: { type: "string", default: "8" },
    "prompt-tokens": { type: "string", default: "2048" },
    repeat: { type: "string", default: "3" },
  });
  if (values.help) return { scenario: "help", text: SCENARIO_USAGE["prefill-gap"] };
  return {
    scenario: "prefill-gap",
    ...common(values),
    streams: wholeNumber("streams", values.streams),
    promptTokens: wholeNumber("prompt-tokens", values["prompt-tokens"]),
  };
}

function readPrefix(args: string[]): BenchCommand {
  const values = parse("prefix", args, {
    slots: { type: "string", default: "8" },
    jobs: { type: "string", default: "200" },
    repeat: { type: "string", default: "1" },
  });
  if (values.help) return { scenario: "help", text: SCENARIO_USAGE.prefix };
  return {
    scenario: "prefix",
    ...common(values),
    slots: wholeNumber("slots", values.slots),
    jobs: wholeNumber("jobs", values.jobs),
  };
}

function readAttention(args: string[]): BenchCommand {
  const values = parse("attention", args, {
    slots: { type: "string", default: "8" },
    depths: { type: "string", default: "32,512,1024" },
    parts: { type: "string", default: "16,63,64,128" },
    repeat: { type: "string", default: "5" },
  });
  if (values.help) return { scenario: "help", text: SCENARIO_USAGE.attention };
  const options = common(values);
  if (options.llamaServer !== null) throw invalid("attention measures no llama-server");
  return {
    scenario: "attention",
    ...options,
    slots: wholeNumber("slots", values.slots),
    depths: wholeNumbers("depths", values.depths),
    parts: wholeNumbers("parts", values.parts),
  };
}

function readEta(args: string[]): BenchCommand {
  const values = parse("eta", args, {
    model: { type: "string", default: DEMO_MODEL },
    slots: { type: "string", default: "8" },
    jobs: { type: "string", default: "400" },
    repeat: { type: "string", default: "3" },
  });
  if (values.help) return { scenario: "help", text: SCENARIO_USAGE.eta };
  const options = common(values);
  if (options.llamaServer !== null) throw invalid("eta measures no llama-server");
  return {
    scenario: "eta",
    ...options,
    slots: wholeNumber("slots", values.slots),
    jobs: wholeNumber("jobs", values.jobs),
  };
}

function readPreemption(args: string[]): BenchCommand {
  const values = parse("preemption", args, {
    model: { type: "string", default: "tiny" },
    slots: { type: "string", default: "8" },
    requests: { type: "string", default: "200" },
    gap: { type: "string", default: "50" },
    repeat: { type: "string", default: "3" },
  });
  if (values.help) return { scenario: "help", text: SCENARIO_USAGE.preemption };
  const options = common(values);
  if (options.llamaServer !== null) throw invalid("preemption measures no llama-server");
  return {
    scenario: "preemption",
    ...options,
    slots: wholeNumber("slots", values.slots),
    requests: wholeNumber("requests", values.requests),
    gapMs: wholeNumber("gap", values.gap),
  };
}

function readReaders(args: string[]): BenchCommand {
  const values = parse("readers", args, {
    model: { type: "string", default: DEMO_MODEL },
    readers: { type: "string", default: "1000" },
    rate: { type: "string", default: "25" },
    chats: { type: "string", default: "50" },
    slots: { type: "string", default: "8" },
    repeat: { type: "string", default: "3" },
  });
  if (values.help) return { scenario: "help", text: SCENARIO_USAGE.readers };
  const options = common(values);
  if (options.llamaServer !== null) throw invalid("readers measures no llama-server");
  return {
    scenario: "readers",
    ...options,
    slots: wholeNumber("slots", values.slots),
    readers: wholeNumber("readers", values.readers),
    perSecond: wholeNumber("rate", values.rate),
    chats: wholeNumber("chats", values.chats),
  };
}

function readBatch(args: string[]): BenchCommand {
  const values = parse("batch", args, {
    part: { type: "string", default: BATCH_PARTS.join(",") },
    slots: { type: "string", default: "8" },
    percent: { type: "string", default: "100" },
    repeat: { type: "string", default: "3" },
  });
  if (values.help) return { scenario: "help", text: SCENARIO_USAGE.batch };
  const options = common(values);
  if (options.llamaServer !== null) throw invalid("batch measures no llama-server");
  return {
    scenario: "batch",
    ...options,
    parts: batchParts(values.part),
    slots: wholeNumber("slots", values.slots),
    percent: wholeNumber("percent", values.percent),
  };
}

function batchParts(value: string | boolean | undefined): BatchPart[] {
  return String(value)
    .split(",")
    .map((name) => {
      const part = BATCH_PARTS.find((known) => known === name);
      if (part === undefined)
        throw invalid(`--part takes ${BATCH_PARTS.join(", ")}, not ${name || "nothing"}`);
      return part;
    });
}

type Values = Record<string, string | boolean | undefined>;
type OptionsConfig = Record<
  string,
  { type: "string" | "boolean"; default?: string | boolean; short?: string }
>;

function parse(scenario: keyof typeof SCENARIO_USAGE, args: string[], own: OptionsConfig): Values {
  try {
    return parseArgs({ args, options: { ...COMMON_OPTIONS, ...own } }).values as Values;
  } catch (error) {
    throw new QuernError(
      "config_invalid",
      `${(error as Error).message} (npm run bench -- ${scenario} --help tells its options)`,
      { cause: error },
    );
  }
}

function common(values: Values): CommonOptions {
  const llamaServer = values["llama-server"];
  return {
    model: String(values.model),
    threads: wholeNumber("threads", values.threads),
    repeat: wholeNumber("repeat", values.repeat),
    llamaServer: llamaServer === undefined ? null : String(llamaServer),
    output: values.json ? "json" : "tables",
  };
}

function wholeNumbers(option: string, value: string | boolean | undefined): number[] {
  return String(value)
    .split(",")
    .map((one) => wholeNumber(option, one));
}

function wholeNumber(option: string, value: string | boolean | undefined, lowest = 1): number {
  const number = /^\d+$/.test(String(value)) ? Number(value) : Number.NaN;
  if (number >= lowest) return number;
  throw invalid(`--${option} takes whole numbers from ${lowest} on, not ${value || "nothing"}`);
}

function invalid(reason: string): QuernError {
  return new QuernError("config_invalid", `${reason} (npm run bench -- --help tells what there is)`);
}
