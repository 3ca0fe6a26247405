import { ENDPOINTS } from "@quern/shared/contract/job";
import { Command, InvalidArgumentError, Option } from "commander";
import { engineFlags, integerFrom } from "../engine-flags.ts";
import type { Server } from "../server/call.ts";
import type { ClusterSettings } from "../up/cluster.ts";
import { type StopSignals, stopSignals } from "../up/stop-signals.ts";
import { detachedLines } from "./detached-lines.ts";
import { EXIT, type ExitCode, withExitCode } from "./exit-codes.ts";
import { INPUT_FORMATS } from "./input/read-rows.ts";
import { run } from "./run.ts";
import { checkPlace, OUTPUT_FORMATS, type RunFlags, toInputSource } from "./run-options.ts";
import { serverAt } from "./server-flag.ts";

/** `quern batch run`. */
export function runCommand(server: Server, settings: ClusterSettings): Command {
  const command = new Command("run")
    .description("ask a model about every line of a file, and write the answers to another")
    .argument("<input>", "OpenAI's batch lines, or rows: .jsonl, .csv, .tsv, or .txt with a prompt a line")
    .requiredOption("-o, --output <file>", "where answers go; errors go to <file>.errors.jsonl")
    .addOption(
      new Option(
        "--format <format>",
        "jsonl: output lines as they are; csv: the input's columns and the answer; text: an answer a line",
      )
        .choices(OUTPUT_FORMATS)
        .default("jsonl"),
    )
    .addOption(
      new Option("--from <format>", "what the input is (default: as its name says)").choices(INPUT_FORMATS),
    )
    .option("--prompt <template>", "what to ask of each row: {column} stands for its text")
    .option("--system <template>", "the system message, likewise")
    .option("--model <model>", "which model is asked (default: the server's only one)")
    .option("--max-tokens <count>", "how long an answer may become", integerFrom(1, 2 ** 24))
    .option("--temperature <number>", "0 for the likeliest answer", temperature)
    .option("--schema <file>", "a JSON schema that answers keep")
    .option("--no-thinking", "answer at once, where the model can do without thinking")
    .addOption(
      new Option("--endpoint <path>", "which endpoint is asked (default: the chat)").choices(ENDPOINTS),
    )
    .option("--id-column <column>", "what rows are known by in the output (default: their number)")
    .option("--compare <column>", "tell how many answers are the same as this column")
    .option("--dedupe", "compute identical requests with one possible answer once")
    .option(
      "--batch-lines <count>",
      "of one batch, at most; what is more becomes several, one after the other (default: 50,000)",
      integerFrom(1, 100_000_000),
    )
    .option("--fresh", "forget what earlier runs left for this output")
    .option("--url <url>", `the gateway (default: QUERN_URL, or ${server.url})`)
    .option("--local", "without a server: runs all of Quern on this machine for as long as it takes")
    .option(
      "--data-dir <folder>",
      "with --local: where it keeps what it does (default: beside the output, until it is done)",
    )
    .option("--threads <count>", "with --local: CPU threads of the worker", integerFrom(1, 512));
  return engineFlags(command)
    .addHelpText("after", EXAMPLES)
    .action(async (input: string, flags: RunFlags) => {
      const signals = stopSignals();
      // A private cluster has processes to end first, which it then does at once.
      if (flags.local !== true) signals.force.addEventListener("abort", () => process.exit(EXIT.interrupted));
      await withExitCode(() =>
        runOrDetach(input, flags, { server: serverAt(server, flags.url), settings, signals }),
      );
    });
}

const EXAMPLES = `
Examples:
  quern batch run requests.jsonl -o answers.jsonl
  quern batch run reviews.csv -o labelled.csv --format csv --prompt "Positive or negative? {review}"
  quern batch run prompts.txt -o answers.txt --format text --model qwen3-8b --max-tokens 200
  quern batch run people.csv -o people.jsonl --prompt "Name and age: {bio}" --schema person.json
  quern batch run reviews.csv -o labelled.csv --format csv --prompt "…" --local --model qwen3-8b

Ctrl-C detaches: the batch runs on (with --local it stops). The same command again goes on where it stands, and
asks once more only for what has no answer. It ends with 0 when everything is answered, with 1 when something failed,
with 2 when it was asked wrongly, with 130 when it was interrupted.`;

async function runOrDetach(
  input: string,
  flags: RunFlags,
  context: { server: Server; settings: ClusterSettings; signals: StopSignals },
): Promise<ExitCode> {
  const { stop } = context.signals;
  try {
    checkPlace(flags);
    const allAnswered = await run(await toInputSource(input, flags), { ...context, flags });
    return allAnswered ? EXIT.allAnswered : EXIT.failed;
  } catch (error) {
    if (!stop.aborted) throw error;
    for (const line of await detachedLines(flags)) console.error(line);
    return EXIT.interrupted;
  }
}

function temperature(text: string): number {
  const value = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && value <= 2) return value;
  throw new InvalidArgumentError("It must be a number from 0 to 2.");
}
