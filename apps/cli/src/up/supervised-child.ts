import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { QuernError } from "@quern/shared/contract/errors";
import { isSupervisedMessage } from "@quern/shared/process/supervised";
import { RestartDelay } from "./restart-delay.ts";

export interface ChildProgram {
  /** How it is called in lines for people. */
  name: string;
  main: URL;
  args?: string[];
  env: NodeJS.ProcessEnv;
  /** Default: what this process prints to. */
  output?: ChildOutput;
}

/** Where a process prints: to where this one does, or to an open file. */
export type ChildOutput = "inherit" | number;

/** One process of ours, started again whenever it dies, until it is stopped. */
export class SupervisedChild {
  readonly #program: ChildProgram;
  readonly #say: (line: string) => void;
  readonly #stopping = new AbortController();
  #child: ChildProcess | null = null;
  #kept: Promise<void> = Promise.resolve();

  constructor(program: ChildProgram, say: (line: string) => void) {
    this.#program = program;
    this.#say = say;
  }

  /**
   * Resolves when it says that it is ready.
   * @throws QuernError when it ends instead, with what it said of the reason. It is then not started again.
   */
  async start(): Promise<void> {
    const started = this.#spawn();
    const failure = await started.ready;
    if (failure !== null) throw new QuernError("config_invalid", failure);
    this.#kept = this.#keepRunning(started);
  }

  /** SIGTERM, and SIGKILL to what is still there when `force` aborts. Resolves when it has ended. */
  async stop(force: AbortSignal): Promise<void> {
    this.#stopping.abort();
    const child = this.#child;
    if (child !== null && isRunning(child)) {
      const kill = () => child.kill("SIGKILL");
      force.addEventListener("abort", kill, { once: true });
      child.kill(force.aborted ? "SIGKILL" : "SIGTERM");
      await once(child, "exit");
      force.removeEventListener("abort", kill);
    }
    await this.#kept;
  }

  async #keepRunning(first: Started): Promise<void> {
    const { name } = this.#program;
    const delay = new RestartDelay();
    let started = first;
    for (;;) {
      const ended = await started.exited;
      if (this.#stopping.signal.aborted) return;
      const delayMs = delay.afterLifeOf(performance.now() - started.atMs);
      const why = started.fatal() ?? ended;
      this.#say(`${name} died (${why}); starting it again in ${delayMs} ms`);
      await sleep(delayMs, undefined, { signal: this.#stopping.signal }).catch(() => {});
      if (this.#stopping.signal.aborted) return;
      started = this.#spawn();
    }
  }

  #spawn(): Started {
    const { main, args = [], env, output = "inherit" } = this.#program;
    // In a process group of its own: a terminal's Ctrl-C is for us alone, who then stop all in order.
    const child = fork(main, args, {
      execArgv: [],
      env,
      detached: true,
      stdio: ["ignore", output, output, "ipc"],
    });
    this.#child = child;
    let fatal: string | null = null;
    const exited = once(child, "exit").then(([code, signal]) =>
      signal === null ? `exit code ${code}` : signal,
    );
    const ready = new Promise<string | null>((resolve) => {
      child.on("message", (message) => {
        if (!isSupervisedMessage(message)) return;
        if (message.type === "ready") resolve(null);
        else fatal = message.message;
      });
      void exited.then((ended) =>
        resolve(fatal ?? `the ${this.#program.name} ended while it started (${ended})`),
      );
    });
    return { atMs: performance.now(), ready, exited, fatal: () => fatal };
  }
}

interface Started {
  atMs: number;
  /** null when it is ready, else why it will not be. */
  ready: Promise<string | null>;
  exited: Promise<string>;
  /** What it said before it ended, if it did. */
  fatal: () => string | null;
}

function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}
