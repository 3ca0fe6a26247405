import { type ErrorCode, QuernError } from "@quern/shared/contract/errors";
import type { Command } from "commander";

/** What a shell is told. */
export const EXIT = {
  allAnswered: 0,
  failed: 1,
  usage: 2,
  /** As shells report an end by SIGINT. */
  interrupted: 130,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** The person's to mend, before anything else can be done. */
const USAGE: ReadonlySet<ErrorCode> = new Set(["config_invalid", "invalid_request", "model_unknown"]);

/** Ends the process with what `work` comes to; what goes wrong is told in its one line. */
export async function withExitCode(work: () => Promise<ExitCode>): Promise<void> {
  try {
    process.exitCode = await work();
  } catch (error) {
    if (!(error instanceof QuernError)) throw error;
    console.error(error.message);
    process.exitCode = USAGE.has(error.code) ? EXIT.usage : EXIT.failed;
  }
}

/** Flags that are wrong end with 2 as well, where commander's own code is 1. */
export function exitOnUsage(command: Command): Command {
  return command.exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : EXIT.usage));
}
