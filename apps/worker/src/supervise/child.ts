import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";

/** Enough of what a dying child wrote to name its assertion. */
const KEPT_OUTPUT_CHARACTERS = 2_000;
/** After its exit a child's pipes are closed at once, unless something that it started holds them open. */
const LAST_OUTPUT_MS = 1_000;

/** How a child ended; `description`: for people, like `SIGABRT: GGML_ASSERT(…) failed`. */
export interface ChildExit {
  code: number | null;
  signal: NodeJS.Signals | null;
  description: string;
}

/** A forked child with an IPC channel. It is killed when this process exits. */
export interface OwnedChild<Command extends object, Report> {
  readonly pid: number;
  /** Resolves after the last message and the last output were read. */
  readonly exited: Promise<ChildExit>;
  /** The end of what it wrote. */
  output(): string;
  /** false when the channel is closed already; the exit says why. */
  send(command: Command): boolean;
  onReport(listener: (report: Report) => void): void;
  /** The next report; pending for ever when none comes. */
  next(): Promise<Report>;
  kill(): void;
}

/**
 * @param environment null: this process's own.
 * @param serialization of both directions: `advanced` copies long texts, `json` is faster for many small reports.
 */
export function forkChild<Command extends object, Report>(
  main: URL,
  environment: NodeJS.ProcessEnv | null,
  serialization: "json" | "advanced",
): OwnedChild<Command, Report> {
  const child = fork(main, {
    execArgv: [],
    serialization,
    stdio: ["ignore", "pipe", "pipe", "ipc"],
    ...(environment === null ? {} : { env: environment }),
  });
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  const output = keepOutput(child);
  const exited = waitForEnd(child).then(([code, signal]) => {
    process.off("exit", kill);
    return { code, signal, description: describeExit(code, signal, output()) };
  });
  return {
    pid: child.pid as number,
    exited,
    output,
    send: (command) => {
      if (!child.connected) return false;
      // An error means that the child dies at this moment: its exit is reported, and settles what waits.
      child.send(command, undefined, undefined, () => {});
      return true;
    },
    onReport: (listener) => void child.on("message", (report) => listener(report as Report)),
    next: () => new Promise((resolve) => child.once("message", (report) => resolve(report as Report))),
    kill,
  };
}

/** `exit` comes before the last output and the last messages, `close` after them. */
async function waitForEnd(child: ChildProcess): Promise<[number | null, NodeJS.Signals | null]> {
  const closed = once(child, "close");
  const end = (await once(child, "exit")) as [number | null, NodeJS.Signals | null];
  await Promise.race([closed, sleep(LAST_OUTPUT_MS, undefined, { ref: false })]);
  // Messages that were read with the end of the channel are emitted in the next turn.
  await new Promise((resolve) => setImmediate(resolve));
  return end;
}

function keepOutput(child: ChildProcess): () => string {
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (chunk: string) => {
      text = (text + chunk).slice(-KEPT_OUTPUT_CHARACTERS);
    });
  }
  return () => text;
}

/** `GGML_ASSERT(…) failed` when llama.cpp said it, else the last line of its output. */
function describeExit(code: number | null, signal: NodeJS.Signals | null, output: string): string {
  const lines = output.trim().split("\n");
  const line = lines.find((text) => text.includes("GGML_ASSERT")) ?? lines.at(-1) ?? "";
  return [signal === null ? `exit code ${code}` : signal, line.trim()]
    .filter((part) => part !== "")
    .join(": ");
}
