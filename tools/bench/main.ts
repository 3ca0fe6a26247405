import { QuernError } from "@quern/shared/contract/errors";
import { onSupervisorGone } from "@quern/shared/process/supervised";
import { runBatchScenario } from "./batch/batch-scenario.ts";
import { readArguments } from "./command/arguments.ts";
import { describeMachine, machineLine } from "./command/machine.ts";
import { findModel } from "./command/models.ts";
import type { BenchCommand } from "./command/options.ts";
import type { ScenarioContext, ScenarioOutcome } from "./command/scenario.ts";
import { runHostilePromptsScenario } from "./hostile-prompts/hostile-prompts-scenario.ts";
import { runReadersScenario } from "./readers/readers-scenario.ts";
import { runAttentionScenario } from "./scenarios/attention-scenario.ts";
import { runEngineScenario } from "./scenarios/engine-scenario.ts";
import { runEtaScenario } from "./scenarios/eta-scenario.ts";
import { runPreemptionScenario } from "./scenarios/preemption-scenario.ts";
import { runPrefillGapScenario } from "./scenarios/prefill-gap-scenario.ts";
import { runPrefixScenario } from "./scenarios/prefix-scenario.ts";

// `npm run bench -- <scenario> …` (docs/performance.md): figures on stdout, progress on stderr.

/** What shells report for a program that ended by Ctrl-C: 128 + SIGINT. */
const INTERRUPTED = 130;

const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => stop.abort());
onSupervisorGone(() => stop.abort());

try {
  await run(readArguments(process.argv.slice(2)));
} catch (error) {
  process.exitCode = stop.signal.aborted ? INTERRUPTED : 1;
  if (!stop.signal.aborted) console.error(error instanceof QuernError ? `bench: ${error.message}` : error);
}

async function run(command: BenchCommand): Promise<void> {
  if (command.scenario === "help") {
    console.log(command.text);
    return;
  }
  const tell = (line: string) => console.error(line);
  const machine = describeMachine();
  const modelPath = await findModel(command.model, tell);
  const { figures, tables } = await measure(command, { modelPath, stop: stop.signal, tell });
  const { output, ...options } = command;
  if (output === "json") console.log(JSON.stringify({ machine, options, figures }, null, 2));
  else console.log(`${machineLine(machine)}\n\n${tables}`);
}

function measure(
  command: Exclude<BenchCommand, { scenario: "help" }>,
  context: ScenarioContext,
): Promise<ScenarioOutcome> {
  switch (command.scenario) {
    case "engine":
      return runEngineScenario(command, context);
    case "prefill-gap":
      return runPrefillGapScenario(command, context);
    case "prefix":
      return runPrefixScenario(command, context);
    case "preemption":
      return runPreemptionScenario(command, context);
    case "attention":
      return runAttentionScenario(command, context);
    case "eta":
      return runEtaScenario(command, context);
    case "readers":
      return runReadersScenario(command, context);
    case "batch":
      return runBatchScenario(command, context);
    case "hostile-prompts":
      return runHostilePromptsScenario(command, context);
  }
}
