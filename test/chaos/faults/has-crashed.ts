import { jobKey } from "@quern/shared/contract/names";
import { listWorkers } from "@quern/shared/redis/registry";
import type { Target } from "./fault.ts";

/** Whether a job that runs in this engine has seen a crash: three are the end of a job. */
export async function hasCrashed(
  { cluster, ledger }: Pick<Target, "cluster" | "ledger">,
  enginePid: number,
): Promise<boolean> {
  const open = [...ledger.entries.values()].filter(({ terminalStates }) => terminalStates.length === 0);
  const pipeline = cluster.redis.pipeline();
  for (const { jobId } of open) pipeline.hmget(jobKey(jobId), "state", "workerId", "crashes");
  const [workers, replies] = await Promise.all([listWorkers(cluster.redis), pipeline.exec()]);
  const worker = workers.find((one) => one.enginePid === enginePid);
  return (replies ?? []).some(([, reply]) => {
    const [state, workerId, crashes] = (reply ?? []) as (string | null)[];
    return state === "running" && workerId === worker?.id && Number(crashes) > 0;
  });
}
