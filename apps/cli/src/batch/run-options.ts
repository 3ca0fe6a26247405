import { readFile } from "node:fs/promises";
import { QuernError } from "@quern/shared/contract/errors";
import type { Endpoint } from "@quern/shared/contract/job";
import type { EngineFlags } from "../engine-flags.ts";
import type { InputSource } from "./input/input-lines.ts";
import { formatOf, type InputFormat } from "./input/read-rows.ts";

export const OUTPUT_FORMATS = ["jsonl", "csv", "text"] as const;
export type OutputFormat = (typeof OUTPUT_FORMATS)[number];

/** The flags of `quern batch run`, as commander reads them. */
export interface RunFlags extends EngineFlags {
  output: string;
  format: OutputFormat;
  from?: InputFormat;
  prompt?: string;
  system?: string;
  model?: string;
  maxTokens?: number;
  temperature?: number;
  schema?: string;
  /** `--no-thinking` makes it false. */
  thinking: boolean;
  endpoint?: Endpoint;
  idColumn?: string;
  compare?: string;
  dedupe?: true;
  batchLines?: number;
  fresh?: true;
  url?: string;
  local?: true;
  dataDir?: string;
  threads?: number;
}

/** @throws QuernError `config_invalid` for a schema that is none, or an input whose form nobody knows. */
export async function toInputSource(path: string, flags: RunFlags): Promise<InputSource> {
  return {
    path,
    format: flags.from ?? formatOf(path),
    endpoint: flags.endpoint ?? null,
    prompt: flags.prompt ?? null,
    system: flags.system ?? null,
    idColumn: flags.idColumn ?? null,
    asking: {
      model: flags.model ?? null,
      maxTokens: flags.maxTokens ?? null,
      temperature: flags.temperature ?? null,
      schema: flags.schema === undefined ? null : await readSchema(flags.schema),
      thinking: flags.thinking ? null : false,
    },
  };
}

async function readSchema(path: string): Promise<object> {
  try {
    const schema: unknown = JSON.parse(await readFile(path, "utf8"));
    if (typeof schema === "object" && schema !== null && !Array.isArray(schema)) return schema;
    throw new Error("it is no JSON object");
  } catch (error) {
    throw new QuernError("config_invalid", `--schema ${path}: ${(error as Error).message}`, { cause: error });
  }
}

/** What only one way of running knows must not be passed over in the other. @throws QuernError `config_invalid`. */
export function checkPlace(flags: RunFlags): void {
  if (flags.local === true) {
    if (flags.url === undefined) return;
    throw new QuernError("config_invalid", "--local asks no server: leave out --url");
  }
  const { dataDir, threads, slots, contextTokens, kvType, flashAttention, gpuLayers, gpu } = flags;
  const engine = { dataDir, threads, slots, contextTokens, kvType, flashAttention, gpuLayers, gpu };
  const [name] = Object.entries(engine).find(([, value]) => value !== undefined) ?? [];
  if (name === undefined) return;
  const flag = name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  throw new QuernError("config_invalid", `--${flag} is for --local: a server has its own`);
}
