import type { Redis } from "ioredis";
import type { JobClass, NewJob } from "../contract/job.ts";
import { DEADLINES_KEY } from "../contract/names.ts";
import { keysOfEnd } from "./line-keys.ts";
import { loadScript, runScript } from "./script.ts";
import { endUnanswered } from "./unanswered-end.ts";

/**
 * Deadlines are judged by one clock, Redis' own (TIME): gateways, workers and schedulers may have clocks of their own
 * that are minutes apart. The nodes of a cluster are taken to agree among themselves.
 *
 * The index of deadlines has no hash tag of its jobs', so it is written beside their records, not with them. An entry
 * too many is found out when it is due; a submitter writes it before the job is accepted, so none is too few.
 */
const EXPIRE = loadScript("expire_job.lua");

/** Jobs that one look at the index may end. */
const PAGE_JOBS = 200;
/** A running job is its worker's to stop; should that one be gone, the job is queued again by then. */
const RECHECK_RUNNING_AFTER_MS = 5_000;

/** Unix milliseconds of the clock that deadlines are judged by. */
export async function redisNowMs(redis: Redis): Promise<number> {
  const [seconds, microseconds] = await redis.time();
  return Number(seconds) * 1_000 + Math.floor(Number(microseconds) / 1_000);
}

/** Called before the job is accepted. Jobs without a deadline are passed over. */
export async function indexDeadline(redis: Redis, job: Pick<NewJob, "id" | "deadlineAtMs">): Promise<void> {
  if (job.deadlineAtMs != null) await redis.zadd(DEADLINES_KEY, job.deadlineAtMs, job.id);
}

/** Called when a job with a deadline has ended. One that is forgotten here drops out when it is due. */
export async function dropDeadline(redis: Redis, job: Pick<NewJob, "id" | "deadlineAtMs">): Promise<void> {
  if (job.deadlineAtMs != null) await redis.zrem(DEADLINES_KEY, job.id);
}

/** What its end has to be followed up by: the reference in its queue, what its tenant is told. */
export interface ExpiredJob {
  id: string;
  tenant: string;
  model: string;
  class: JobClass;
}

export type Expiry =
  | { kind: "expired"; job: ExpiredJob }
  /** Nothing changed: only its worker may end a running job, and before its deadline nobody. */
  | { kind: "gone" | "ended" | "running" | "early" };

/**
 * Ends a queued job whose deadline has passed: state and `end` event become visible together. One that has published
 * something keeps it as its answer.
 */
export async function expireQueuedJob(
  redis: Redis,
  id: string,
  options: { retentionSeconds: number },
): Promise<Expiry> {
  const reply = await endUnanswered(redis, id, (answer) =>
    runScript(redis, EXPIRE, keysOfEnd(id), [options.retentionSeconds, ...answer]),
  );
  const [kind, tenant = "", model = "", jobClass] = reply as [Expiry["kind"], string?, string?, JobClass?];
  if (kind !== "expired") return { kind };
  await redis.zrem(DEADLINES_KEY, id);
  return { kind, job: { id, tenant, model, class: jobClass ?? "interactive" } };
}

/**
 * Expires queued jobs that are due, with or without any worker; for whoever sweeps, about once a second. At most
 * `PAGE_JOBS` at a time: `hasMore` says that more may be due already.
 */
export async function expireDueJobs(
  redis: Redis,
  options: { retentionSeconds: number },
): Promise<{ expired: ExpiredJob[]; hasMore: boolean }> {
  const nowMs = await redisNowMs(redis);
  const ids = await redis.zrange(DEADLINES_KEY, "-inf", String(nowMs), "BYSCORE", "LIMIT", 0, PAGE_JOBS);
  const expiries = await Promise.all(ids.map((id) => expireQueuedJob(redis, id, options)));
  const over = ids.filter((_, at) => expiries[at]?.kind === "gone" || expiries[at]?.kind === "ended");
  if (over.length > 0) await redis.zrem(DEADLINES_KEY, ...over);
  const running = ids.filter((_, at) => expiries[at]?.kind === "running");
  if (running.length > 0) {
    const recheckAtMs = nowMs + RECHECK_RUNNING_AFTER_MS;
    // XX: one that has ended meanwhile stays out.
    await redis.zadd(DEADLINES_KEY, "XX", ...running.flatMap((id) => [recheckAtMs, id]));
  }
  const expired = expiries.flatMap((expiry) => (expiry.kind === "expired" ? [expiry.job] : []));
  return { expired, hasMore: ids.length === PAGE_JOBS };
}
