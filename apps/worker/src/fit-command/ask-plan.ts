import { fork } from "node:child_process";
import { once } from "node:events";
import { type ErrorCode, QuernError } from "@quern/shared/contract/errors";
import type { MemoryPlan } from "../fit/plan-memory.ts";
import type { PlanReport } from "../fit/plan-report.ts";
import type { EngineOptions } from "../protocol/engine-options.ts";

const PLAN_MAIN = new URL("../engines/llama/plan-main.ts", import.meta.url);

/**
 * How a model would lie in the memory that is free now. A child looks, since a GPU is chosen by the environment that a
 * process starts with.
 * @throws QuernError as `loadModel` does, but for `model_does_not_fit`, which is an answer here.
 */
export async function askPlan(
  options: EngineOptions,
  environment: NodeJS.ProcessEnv | null,
  signal: AbortSignal,
): Promise<{ plan: MemoryPlan; cure: string | null }> {
  const child = fork(PLAN_MAIN, {
    execArgv: [],
    stdio: ["ignore", "ignore", "ignore", "ipc"],
    ...(environment === null ? {} : { env: environment }),
  });
  const kill = () => child.kill("SIGKILL");
  signal.addEventListener("abort", kill, { once: true });
  const exited = once(child, "exit");
  const answer = new Promise<PlanReport | null>((resolve) => {
    child.once("message", (report) => resolve(report as PlanReport));
    exited.then(
      () => resolve(null),
      () => resolve(null),
    );
  });
  // An error means that the child dies at this moment, which its exit tells.
  child.send(options, undefined, undefined, () => {});
  const report = await answer;
  await exited;
  signal.removeEventListener("abort", kill);
  if (report === null) {
    throw new QuernError(
      "model_load_failed",
      `llama.cpp ended while it looked at the device (${child.signalCode ?? child.exitCode}): try --gpu cpu`,
    );
  }
  if (report.type === "planned") return report;
  const { code, message } = report.error;
  throw new QuernError(code as ErrorCode, message);
}
