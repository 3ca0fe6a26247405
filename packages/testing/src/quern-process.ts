import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { environmentWith } from "./docker-config.ts";

const MAIN = join(import.meta.dirname, "..", "..", "..", "apps", "cli", "src", "main.ts");

export interface QuernProcess {
  child: ChildProcess;
  /** What it printed so far, to both of its outputs. */
  output: () => string;
  /** Resolves with its exit code. */
  exited: Promise<number | null>;
}

/** `quern` as a process of its own, in a folder. */
export function startQuern(
  args: readonly string[],
  { cwd, env = {} }: { cwd: string; env?: Record<string, string> },
): QuernProcess {
  const child = spawn(process.execPath, [MAIN, ...args], {
    cwd,
    env: environmentWith(env),
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (chunk: string) => {
      output += chunk;
    });
  }
  const exited = once(child, "close").then(([code]) => code as number | null);
  return { child, output: () => output, exited };
}

export async function runQuern(
  args: readonly string[],
  place: { cwd: string; env?: Record<string, string> },
): Promise<{ code: number | null; output: string }> {
  const quern = startQuern(args, place);
  return { code: await quern.exited, output: quern.output() };
}
