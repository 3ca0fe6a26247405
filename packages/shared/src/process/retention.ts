import { z } from "zod";
import type { JobClass } from "../contract/job.ts";

const seconds = z.coerce.number().int().min(1);
const DEFAULT_RETENTION_SECONDS = 24 * 3_600;

/** Of the environment of every process that submits or ends jobs. */
export const retentionVariables = {
  QUERN_RETENTION_SECONDS: seconds.default(DEFAULT_RETENTION_SECONDS),
  QUERN_BATCH_RETENTION_SECONDS: seconds.optional(),
  QUERN_EVENTS_RETENTION_SECONDS: seconds.optional(),
};

/** How long jobs are kept once they have ended. A job carries its own from when it is submitted. */
export interface Retention {
  jobSeconds: Record<JobClass, number>;
  /** null: as long as the job. */
  eventsSeconds: number | null;
}

export function toRetention(env: z.infer<z.ZodObject<typeof retentionVariables>>): Retention {
  const interactive = env.QUERN_RETENTION_SECONDS;
  return {
    jobSeconds: { interactive, batch: env.QUERN_BATCH_RETENTION_SECONDS ?? interactive },
    eventsSeconds: env.QUERN_EVENTS_RETENTION_SECONDS ?? null,
  };
}

/** The fields of a new job's record that say how long it is kept. */
export function retentionOf(
  { jobSeconds, eventsSeconds }: Retention,
  jobClass: JobClass,
): { retentionSeconds: number; eventsRetentionSeconds: number } {
  const retentionSeconds = jobSeconds[jobClass];
  return {
    retentionSeconds,
    eventsRetentionSeconds: Math.min(eventsSeconds ?? retentionSeconds, retentionSeconds),
  };
}
