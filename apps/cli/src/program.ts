import { Command } from "commander";
import { batchCommand } from "./batch/batch-command.ts";
import type { CliConfig } from "./config.ts";
import { fitCommand } from "./models/fit-command.ts";
import { modelsCommand } from "./models/models-command.ts";
import { upCommand } from "./up/up-command.ts";

/** `quern`, with all its commands. */
export function createProgram(config: CliConfig): Command {
  return new Command("quern")
    .description("A job queue in front of Qwen models (GGUF), with one command to run all of it.")
    .showHelpAfterError("(--help shows what there is)")
    .addCommand(
      upCommand(config).copyInheritedSettings(
        new Command().showHelpAfterError("(--help shows what there is)"),
      ),
    )
    .addCommand(batchCommand(config.server, { ...config, redisUrl: null }))
    .addCommand(modelsCommand(() => config.models).addCommand(fitCommand(config.childEnv)));
}
