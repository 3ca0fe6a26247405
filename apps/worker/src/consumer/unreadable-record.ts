import type { TerminalState } from "@quern/shared/contract/lifecycle";
import type { TokenEvent } from "@quern/shared/contract/token-event";
import { type Claim, commitJob, giveUpAttempt, type JobEnd } from "@quern/shared/redis/job-store";
import type { Redis } from "ioredis";
import { MAX_CRASHES } from "./crash-verdict.ts";

type UnreadableClaim = Extract<Claim, { kind: "unreadable" }>;

/**
 * A job was claimed whose record this worker can't read. One of another version may be able to, so others have it a few
 * times; then it has failed, rather than to keep slots busy for ever.
 */
export async function endUnreadable(
  redis: Redis,
  jobId: string,
  { epoch, crashes, lastSeq, fault }: UnreadableClaim,
  retentionSeconds: number,
): Promise<"queued" | Extract<TerminalState, "failed"> | "lost"> {
  const attempt = { jobId, epoch };
  if (crashes + 1 < MAX_CRASHES) {
    await giveUpAttempt(redis, attempt, "crashed", Date.now());
    return "queued";
  }
  const code = "internal_error";
  const message = `no worker can read the job's record (${fault.name}): are all processes of one version?`;
  const told: TokenEvent[] = [
    { type: "error", data: { code, message } },
    { type: "end", data: { status: "failed", usage: null, finish_reason: null } },
  ];
  const events = told.map((event, at) => ({ seq: lastSeq + 1 + at, event }));
  const error = { code, message, param: null };
  const end: JobEnd = { state: "failed", usage: null, result: null, error, events, retentionSeconds };
  const reply = await commitJob(redis, attempt, end, Date.now());
  return reply === "committed" ? "failed" : "lost";
}
