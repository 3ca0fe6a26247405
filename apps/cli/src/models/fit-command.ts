import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { type EngineFlags, engineFlags, engineVariables } from "../engine-flags.ts";

const FIT_MAIN = fileURLToPath(new URL("../../../worker/src/fit-command/main.ts", import.meta.url));

/**
 * `quern models fit`: the worker's own plan of the memory, without a model being loaded. The worker plans, since only it
 * knows llama.cpp and through it the devices.
 */
export function fitCommand(childEnv: NodeJS.ProcessEnv): Command {
  return engineFlags(
    new Command("fit")
      .description("show how a model would use the memory that is free now; exit code 1: it does not fit")
      .argument("<model>", "an alias of the catalogue that is on this machine, or the path of a GGUF file"),
  ).action(async (model: string, flags: EngineFlags) => {
    const child = spawn(process.execPath, [FIT_MAIN], {
      env: { ...childEnv, QUERN_MODEL: model, ...engineVariables(flags, 0) },
      stdio: ["ignore", "inherit", "inherit"],
    });
    const [code] = await once(child, "exit");
    process.exitCode = code ?? 1;
  });
}
