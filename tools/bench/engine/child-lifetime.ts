import type { ChildProcess } from "node:child_process";
import { once } from "node:events";

/** From being told to end; a contender frees its model first. */
const EXIT_TIMEOUT_MS = 10_000;

/** A child process that never outlives this one, unless this one is killed with SIGKILL. */
export interface ChildLifetime {
  readonly exited: Promise<void>;
  readonly kill: () => void;
  /** `tellToEnd`, and patience. Resolves when the process is gone. */
  readonly end: (tellToEnd: () => void) => Promise<void>;
}

/** To be called in the tick that starts `child`. `stop` kills it. */
export function ownChild(child: ChildProcess, stop: AbortSignal): ChildLifetime {
  const kill = () => {
    child.kill("SIGKILL");
  };
  stop.addEventListener("abort", kill);
  process.on("exit", kill);
  const exited = once(child, "exit").then(
    () => {},
    () => {},
  );
  void exited.then(() => {
    stop.removeEventListener("abort", kill);
    process.off("exit", kill);
  });
  return {
    exited,
    kill,
    end: async (tellToEnd) => {
      tellToEnd();
      const lostPatience = setTimeout(kill, EXIT_TIMEOUT_MS);
      await exited;
      clearTimeout(lostPatience);
    },
  };
}

export function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}
