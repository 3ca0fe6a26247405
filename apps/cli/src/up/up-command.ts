import { Command } from "commander";
import type { CliConfig } from "../config.ts";
import { type EngineFlags, engineFlags, integerFrom } from "../engine-flags.ts";
import { stopSignals } from "./stop-signals.ts";
import { runUp } from "./up.ts";
import { coresEach, DEFAULT_MODEL, type UpOptions } from "./up-options.ts";

/** `quern up`, which is what `npm start` runs. */
export function upCommand(config: CliConfig): Command {
  const up = new Command("up")
    .description("Run all of Quern on this machine: Redis (unless REDIS_URL names one), a gateway, workers.")
    .option("--port <port>", "where the gateway listens", integerFrom(0, 65_535), 8_080)
    .option("--host <address>", "which address; without API keys loopback only", "127.0.0.1")
    .option("--data-dir <folder>", "where jobs and results are kept", ".quern")
    .option(
      "--model <model>",
      `what to serve: an alias of models.yaml, a path, or hf:<owner>/<repo>:<quantization>; give it again for more models (default: ${DEFAULT_MODEL})`,
      (model: string, models: string[] | undefined) => [...(models ?? []), model],
    )
    .option("--workers <count>", "workers of each model", integerFrom(1, 64), 1)
    .option(
      "--threads <count>",
      "CPU threads of each worker (default: the cores, shared)",
      integerFrom(1, 512),
    );
  return engineFlags(up)
    .addHelpText("after", EXAMPLES)
    .action(async (flags: UpFlags) => {
      const signals = stopSignals();
      await runUp(toOptions(flags), config, signals);
    });
}

const EXAMPLES = `
Examples:
  npm start                                                  the demo model
  npm start -- --model qwen3-8b --slots 16                   one of models.yaml, downloaded at the first start
  npm start -- --model ./a.gguf --model ./b.gguf             two models, a worker each
  npm start -- --model qwen3-8b --workers 2 --gpu 0 --gpu 1  a worker on each of two GPUs
  REDIS_URL=redis://127.0.0.1:6379 npm start                 with a Redis of your own`;

interface UpFlags extends EngineFlags {
  port: number;
  host: string;
  dataDir: string;
  model?: string[];
  workers: number;
  threads?: number;
}

function toOptions(flags: UpFlags): UpOptions {
  const models = [...new Set(flags.model ?? [DEFAULT_MODEL])];
  return {
    port: flags.port,
    host: flags.host,
    dataDir: flags.dataDir,
    models,
    workers: flags.workers,
    engine: flags,
    threads: flags.threads ?? null,
    cores: coresEach(models.length * flags.workers),
  };
}
