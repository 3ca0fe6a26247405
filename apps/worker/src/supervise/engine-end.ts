/**
 * How an engine child ended. `killed`: from outside, by an operator, a deploy or the kernel's OOM killer. `crashed`: by
 * itself (SIGABRT, SIGSEGV, an exit code). `hung`: its worker killed it because it no longer answered.
 */
export type EngineEnd = "killed" | "crashed" | "hung";

/** Signals that native code does not raise by itself, and the exit codes that shells and containers make of them. */
const FROM_OUTSIDE = /^(SIGKILL|SIGTERM|SIGINT|SIGHUP|SIGQUIT|exit code (137|143))(:|$)/;

/** @param death how the child ended and its last output; null: it ended as it was told. */
export function engineEndOf(death: string | null): Exclude<EngineEnd, "hung"> {
  return death === null || FROM_OUTSIDE.test(death) ? "killed" : "crashed";
}
