import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { environmentWith } from "./docker-config.ts";

const run = promisify(execFile);

/** A command may print a whole build. */
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

/** How compose is called here: Docker's plugin, else the older program of its own. null: neither is installed. */
export async function findComposeCommand(): Promise<readonly string[] | null> {
  for (const command of [["docker", "compose"], ["docker-compose"]]) {
    try {
      await runCommand([...command, "version"], {});
      return command;
    } catch {
      // Not here: try the next.
    }
  }
  return null;
}

export interface Composition {
  readonly project: string;
  /** Runs a compose command on the project and returns what it printed; throws with its output when it fails. */
  compose(...args: string[]): Promise<string>;
  /** The same for the engine's own command line. */
  docker(...args: string[]): Promise<string>;
}

export function composition(options: {
  command: readonly string[];
  project: string;
  directory: string;
  files: readonly string[];
  environment: Record<string, string>;
}): Composition {
  const { command, project, directory, files, environment } = options;
  const fileArgs = files.flatMap((file) => ["--file", file]);
  return {
    project,
    compose: (...args) =>
      runCommand(
        [...command, "--project-name", project, "--project-directory", directory, ...fileArgs, ...args],
        environment,
      ),
    docker: (...args) => runCommand(["docker", ...args], environment),
  };
}

async function runCommand(command: readonly string[], environment: Record<string, string>): Promise<string> {
  const [program, ...args] = command;
  if (program === undefined) throw new Error("a command has a program");
  try {
    const { stdout } = await run(program, args, {
      env: environmentWith(environment),
      maxBuffer: MAX_OUTPUT_BYTES,
    });
    return stdout.trim();
  } catch (error) {
    const { stdout = "", stderr = "" } = error as { stdout?: string; stderr?: string };
    const output = `${stdout}\n${stderr}`.trim().split("\n").slice(-40).join("\n");
    throw new Error(`${command.join(" ")} failed:\n${output}`, { cause: error });
  }
}
