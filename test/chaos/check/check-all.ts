import { setTimeout as sleep } from "node:timers/promises";
import type { NumberedTokenEvent } from "@quern/shared/contract/token-event";
import { readEvents } from "@quern/shared/redis/event-stream";
import type { ChaosCluster } from "../cluster.ts";
import type { Ledger, LedgerEntry } from "../ledger.ts";
import { checkJob, type Violation } from "./check-job.ts";
import type { FinalJob } from "./final-job.ts";

const AT_ONCE = 16;
const RETRY_PAUSE_MS = 100;

/** The end of a run: how every accepted job ended, and what is wrong with it. */
export interface Verdict {
  byState: Record<string, number>;
  /** Jobs that had more than one attempt, and `restart` events in all streams. */
  takenOver: number;
  restarts: number;
  violations: Violation[];
}

export async function checkAll(cluster: ChaosCluster, ledger: Ledger): Promise<Verdict> {
  const verdict: Verdict = { byState: {}, takenOver: 0, restarts: 0, violations: [] };
  const left = [...ledger.entries.values()];
  const check = async () => {
    for (let entry = left.pop(); entry !== undefined; entry = left.pop()) {
      const [final, events] = await Promise.all([
        finalJob(cluster, entry),
        readEvents(cluster.redis, entry.jobId, null),
      ]);
      judge(verdict, ledger, entry, final, events);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, check));
  return verdict;
}

function judge(
  verdict: Verdict,
  ledger: Ledger,
  entry: LedgerEntry,
  final: FinalJob | null,
  events: NumberedTokenEvent[],
): void {
  const state = final === null ? "gone" : final.status;
  verdict.byState[state] = (verdict.byState[state] ?? 0) + 1;
  if ((final?.attempt ?? 0) > 1) verdict.takenOver += 1;
  verdict.restarts += events.filter(({ event }) => event.type === "restart").length;
  const found = checkJob(entry, final, events);
  verdict.violations.push(...found);
  ledger.note("final", { job: entry.jobId, final, violations: found });
}

/** null: there is none. */
async function finalJob(cluster: ChaosCluster, { jobId }: LedgerEntry): Promise<FinalJob | null> {
  for (let at = 0; ; at++) {
    const urls = cluster.gatewayUrls;
    const reply = await fetch(`${urls[at % urls.length]}/v1/jobs/${jobId}`).catch(() => null);
    if (reply?.status === 200) return (await reply.json()) as FinalJob;
    if (reply?.status === 404) return null;
    await sleep(RETRY_PAUSE_MS);
  }
}
