import { jobKey } from "@quern/shared/contract/names";
import { listWorkers } from "@quern/shared/redis/registry";
import type { Target } from "./fault.ts";

/** A suspect that runs now, alone in its engine. */
export interface RunningSuspect {
  jobId: string;
  enginePid: number;
}

/** By the records of the jobs that have not ended, and the workers' heartbeats. */
export async function runningSuspects({
  cluster,
  ledger,
}: Pick<Target, "cluster" | "ledger">): Promise<RunningSuspect[]> {
  const open = [...ledger.entries.values()].filter(({ terminalStates }) => terminalStates.length === 0);
  const pipeline = cluster.redis.pipeline();
  for (const { jobId } of open) pipeline.hmget(jobKey(jobId), "state", "suspectSinceMs", "workerId");
  const [workers, replies] = await Promise.all([listWorkers(cluster.redis), pipeline.exec()]);
  return open.flatMap(({ jobId }, at) => {
    const [state, suspectSinceMs, workerId] = (replies?.[at]?.[1] ?? []) as (string | null)[];
    const enginePid = workers.find(({ id }) => id === workerId)?.enginePid ?? null;
    return state === "running" && suspectSinceMs != null && enginePid !== null ? [{ jobId, enginePid }] : [];
  });
}
