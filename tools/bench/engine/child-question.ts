import type { ChildProcess } from "node:child_process";
import { QuernError } from "@quern/shared/contract/errors";
import { hasEnded } from "./child-lifetime.ts";

/** What any child of the benchmarks may answer instead. */
export interface ChildFailure {
  type: "failed";
  message: string;
}

/**
 * Sends a command and waits for the one report that it is answered with.
 *
 * @throws QuernError `engine_failed` with what the child said, or how its process ended.
 */
export function askChild<Report extends { type: string }>(
  name: string,
  child: ChildProcess,
  command: { type: string },
): Promise<Exclude<Report, ChildFailure>> {
  const { promise, resolve, reject } = Promise.withResolvers<Exclude<Report, ChildFailure>>();
  const fail = (reason: string) => reject(new QuernError("engine_failed", `${name} can't go on: ${reason}`));
  const onMessage = (report: Report | ChildFailure) => {
    if (isFailure(report)) fail(report.message);
    else resolve(report as Exclude<Report, ChildFailure>);
  };
  const onExit = (code: number | null, signal: string | null) =>
    fail(`its process ended with ${signal ?? `code ${code}`}`);
  child.once("message", onMessage);
  child.once("exit", onExit);
  if (hasEnded(child)) onExit(child.exitCode, child.signalCode);
  else child.send(command);
  return promise.finally(() => {
    child.off("message", onMessage);
    child.off("exit", onExit);
  });
}

function isFailure(report: { type: string }): report is ChildFailure {
  return report.type === "failed";
}
