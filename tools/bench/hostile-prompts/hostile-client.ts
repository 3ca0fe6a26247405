import { fork } from "node:child_process";
import { join } from "node:path";
import type { HostilePrompt } from "../command/options.ts";
import { ownChild } from "../engine/child-lifetime.ts";
import { askChild } from "../engine/child-question.ts";
import type { HostileCommand, HostileReport } from "./hostile-client-child.ts";

type Stopped = Extract<HostileReport, { type: "stopped" }>;

export interface HostileClient extends AsyncDisposable {
  /** Whether its first request has ended, however it did. */
  readonly hasFirstEnded: boolean;
  /** Gives up what is under way. @throws when its process has ended by itself. */
  stop(): Promise<Omit<Stopped, "type">>;
}

/**
 * Sends hostile requests from a process of its own: in the measuring process 10 MB on their way would delay the measured
 * requests by up to 40 ms. Resolves when the first one is on its way. `stop` kills it.
 *
 * @throws QuernError `engine_failed` when its process ended.
 */
export async function startHostileClient(
  target: { url: string; model: string; prompt: HostilePrompt },
  stop: AbortSignal,
): Promise<HostileClient> {
  stop.throwIfAborted();
  const child = fork(join(import.meta.dirname, "hostile-client-child.ts"), {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  const lifetime = ownChild(child, stop);
  const send = (command: HostileCommand) => {
    if (child.connected) child.send(command);
  };
  let hasFirstEnded = false;
  let stopped: Stopped | null = null;
  child.on("message", (report: HostileReport) => {
    if (report.type === "stopped") stopped = report;
    else if (report.type === "first ended") hasFirstEnded = true;
  });
  // Nothing is to be waited for when the client is gone.
  void lifetime.exited.then(() => {
    hasFirstEnded = true;
  });
  await askChild<HostileReport>("the hostile client", child, { type: "send", ...target });
  const end = () => lifetime.end(() => send({ type: "stop" }));
  return {
    get hasFirstEnded() {
      return hasFirstEnded;
    },
    stop: async () => {
      await end();
      stop.throwIfAborted();
      if (stopped !== null) return stopped;
      throw new Error(`the hostile client's process ended with ${child.signalCode ?? child.exitCode}`);
    },
    [Symbol.asyncDispose]: end,
  };
}
