import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { QuernError } from "@quern/shared/contract/errors";
import { DEMO_MODEL } from "./models.ts";
import { BATCH_PARTS, type BenchCommand, type CommonOptions, HOSTILE_PROMPTS } from "./options.ts";
import { COMMON_USAGE, SCENARIO_USAGE, USAGE } from "./usage.ts";

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
    case "hostile-prompts":
      return readHostilePrompts(rest);
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
    against: { type: "string" },
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
    against: values.against === undefined ? null : resolve(String(values.against)),
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
    parts: namesAmong(BATCH_PARTS, "part", values.part),
    slots: wholeNumber("slots", values.slots),
    percent: wholeNumber("percent", values.percent),
  };
}

function readHostilePrompts(args: string[]): BenchCommand {
  const values = parse("hostile-prompts", args, {
    model: { type: "string", default: DEMO_MODEL },
    prompt: { type: "string", default: HOSTILE_PROMPTS.join(",") },
    slots: { type: "string", default: "8" },
    requests: { type: "string", default: "100" },
    repeat: { type: "string", default: "3" },
  });
  if (values.help) return { scenario: "help", text: SCENARIO_USAGE["hostile-prompts"] };
  const options = common(values);
  if (options.llamaServer !== null) throw invalid("hostile-prompts measures no llama-server");
  return {
    scenario: "hostile-prompts",
    ...options,
    prompts: namesAmong(HOSTILE_PROMPTS, "prompt", values.prompt),
    slots: wholeNumber("slots", values.slots),
    requests: wholeNumber("requests", values.requests),
  };
}

function namesAmong<Name extends string>(
  known: readonly Name[],
  option: string,
  value: string | boolean | undefined,
): Name[] {
  return String(value)
    .split(",")
    .map((given) => {
      const name = known.find((one) => one === given);
      if (name === undefined)
        throw invalid(`--${option} takes ${known.join(", ")}, not ${given || "nothing"}`);
      return name;
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
