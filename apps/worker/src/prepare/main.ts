import { QuernError } from "@quern/shared/contract/errors";
import { countedRequestSchema } from "@quern/shared/contract/token-count";
import { toJobError } from "../protocol/job-error.ts";
import type { PrepareCommand, PrepareReport } from "../protocol/prepare-messages.ts";
import { GrammarTakesLong } from "./grammar/gbnf/grammar-rules.ts";
import { Preparer } from "./preparer.ts";
import { loadVocabulary } from "./tokens/vocabulary.ts";

// A preparer child: prompts, tokens and grammars for one model, by commands over IPC, one after the other. It belongs to its
// worker and ends with the channel. Signals of a terminal or a container reach the whole group; the worker decides what
// they mean.
process.on("SIGINT", () => {});
process.on("SIGTERM", () => {});
process.once("disconnect", () => process.exit());

let preparer: Preparer | null = null;

process.on("message", async (command: PrepareCommand) => {
  switch (command.type) {
    case "load":
      return send(await load(command));
    case "prepare":
      return send(
        answer(command.id, () => ({
          type: "prepared",
          id: command.id,
          prepared: loaded().prepare(command.request, command.effort),
        })),
      );
    case "count":
      return send(
        answer(command.id, () => ({
          type: "counted",
          id: command.id,
          tokens: loaded().count(countedRequestSchema.parse(JSON.parse(command.requestJson))),
        })),
      );
    case "close":
      return process.disconnect();
  }
});

async function load({ options }: Extract<PrepareCommand, { type: "load" }>): Promise<PrepareReport> {
  try {
    preparer = new Preparer(await loadVocabulary(options.modelPath), options);
    return { type: "loaded", facts: preparer.facts };
  } catch (error) {
    const known = error instanceof QuernError ? error : loadFailure(options.modelPath, error);
    return { type: "load_failed", error: toJobError(known) };
  }
}

function loadFailure(modelPath: string, cause: unknown): QuernError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new QuernError("model_load_failed", `the vocabulary of ${modelPath} can't be loaded: ${reason}`, {
    cause,
  });
}

function loaded(): Preparer {
  if (preparer === null) throw new Error("a preparer loads before it prepares");
  return preparer;
}

function answer(id: string, work: () => PrepareReport): PrepareReport {
  try {
    return work();
  } catch (error) {
    if (error instanceof GrammarTakesLong) return { type: "takes_long", id };
    return { type: "refused", id, error: toJobError(error) };
  }
}

/** Errors mean that the worker is gone, which `disconnect` reports. */
function send(report: PrepareReport): void {
  process.send?.(report, undefined, undefined, () => {});
}
