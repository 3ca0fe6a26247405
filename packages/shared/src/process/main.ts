import { QuernError } from "../contract/errors.ts";
import { isSupervised, onSupervisorGone, tellFatal } from "./supervised.ts";

/** How long what was closed may take to let go, also on a machine that stands still for seconds, before it counts as a leak. */
const LEAK_TIMEOUT_MS = 10_000;
/** How long a process may outlive its supervisor. */
const ORPHAN_TIMEOUT_MS = 8_000;

/**
 * Runs a process from its start to its end. `start` gets the signal to stop (SIGTERM, SIGINT, or a supervisor that is
 * gone) and resolves when everything it opened is closed. When it rejects, one line says why (to the supervisor, or
 * on stderr where there is none) and the exit code is 1.
 */
export async function runMain(start: (stop: AbortSignal) => Promise<void>): Promise<void> {
  const stop = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => stop.abort());
  onSupervisorGone(() => {
    stop.abort();
    // Nobody is left to lose patience with a drain that waits for what is gone as well, such as Redis.
    setTimeout(() => process.exit(1), ORPHAN_TIMEOUT_MS).unref();
  });
  try {
    await start(stop.signal);
  } catch (error) {
    // Told to stop while it started: what broke off then is no failure.
    if (!stop.signal.aborted) await fail(error);
  }
  process.channel?.unref();
  setTimeout(reportLeak, LEAK_TIMEOUT_MS).unref();
}

async function fail(error: unknown): Promise<void> {
  process.exitCode = 1;
  const line =
    error instanceof QuernError ? error.message : `unexpected: ${(error as Error)?.stack ?? error}`;
  if (isSupervised()) await tellFatal(line);
  else console.error(line);
}

/** Something was not closed, so the process would never end. This is a bug; the line names what to look for. */
function reportLeak(): void {
  console.error(`still open after the end: ${process.getActiveResourcesInfo().join(", ")}`);
  process.exit(process.exitCode || 1);
}
