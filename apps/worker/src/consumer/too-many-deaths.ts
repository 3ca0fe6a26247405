import { QuernError } from "@quern/shared/contract/errors";
import type { JobError } from "@quern/shared/contract/job";
import { OUT_OF_MEMORY_CURE } from "../fit/out-of-memory.ts";
import { toJobError } from "../protocol/job-error.ts";
import { MAX_CRASHES, MAX_KILLS } from "./crash-verdict.ts";

/** Why a job fails that its engines or workers have died under too often. @param last how the last of them ended. */
export function tooManyDeaths(after: "crashes" | "kills", last: string): JobError {
  const message =
    after === "crashes"
      ? `the engine died ${MAX_CRASHES} times while it ran this job: ${last}`
      : `the engine or its worker was killed ${MAX_KILLS} times in a row while it ran this job, and the job got no further ` +
        `(${last}). If the system killed it because memory ran out: ${OUT_OF_MEMORY_CURE}`;
  return toJobError(new QuernError("engine_crashed", message));
}
