import { randomUUIDv7 } from "node:crypto";
import { jobIndexKey, jobKey } from "@quern/shared/contract/names";
import { cancelJob, confirmJob, createJob } from "@quern/shared/redis/job-store";
import { newJob } from "@quern/shared/redis/new-job.fixture";
import { callApi, type Job } from "@quern/testing/jobs-api";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startUnstaffedCluster, type UnstaffedCluster } from "./unstaffed-cluster.fixture.ts";

// Promise: a list of jobs can be read to its end, page by page, and no page costs more than a bounded look at the jobs.

const OTHERS = 12_000;

let staff: UnstaffedCluster;
beforeAll(async () => {
  staff = await startUnstaffedCluster();
});
afterAll(() => staff?.[Symbol.asyncDispose]());

interface JobPage {
  data: Job[];
  last_id: string | null;
  has_more: boolean;
}

async function cancelledJob(): Promise<string> {
  const job = newJob();
  await createJob(staff.redis, job);
  await confirmJob(staff.redis, job);
  await cancelJob(staff.redis, job.id, { retentionSeconds: 600 }, Date.now());
  return job.id;
}

test("a page without a match names the id where the next page begins", async () => {
  const { cluster, redis } = staff;
  const oldest = await cancelledJob();
  const others = Array.from({ length: OTHERS }, () => `job_${randomUUIDv7()}`);
  const pipeline = redis.pipeline();
  for (const id of others) pipeline.hset(jobKey(id), "state", "completed", "model", "tiny-qwen3");
  pipeline.zadd(jobIndexKey("default"), ...others.flatMap((id) => [0, id]));
  await pipeline.exec();

  const list = (query: string) => callApi<JobPage>(`${cluster.url}/v1/jobs?status=cancelled${query}`);
  const first = await list("");
  expect(first).toMatchObject({ data: [], has_more: true, last_id: expect.stringMatching(/^job_/) });
  const second = await list(`&after=${first.last_id}`);
  expect(second.data.map(({ id }) => id)).toEqual([oldest]);
  expect(second).toMatchObject({ has_more: false, last_id: oldest });
});
