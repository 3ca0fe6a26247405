import { expect, test } from "vitest";
import { violations } from "./import-rules.ts";

const shared = "packages/shared/src";

test.each([
  ["apps/gateway/src/app.ts", "apps/worker/src/worker.ts"],
  [`${shared}/contract/job.ts`, "ioredis"],
  [`${shared}/contract/job.ts`, `${shared}/redis/job-store.ts`],
  [`${shared}/openai/chat-request.ts`, `${shared}/redis/job-store.ts`],
  ["apps/worker/src/worker.ts", "packages/testing/src/cluster.ts"],
  ["apps/worker/src/worker.ts", "packages/shared/src/redis/new-batch.fixture.ts"],
  ["apps/worker/src/consumer/attempt.ts", "node-llama-cpp"],
  ["apps/worker/src/consumer/attempt.ts", "apps/worker/src/engines/job-choices.ts"],
  ["apps/worker/src/worker.ts", "apps/worker/src/prepare/preparer.ts"],
  ["apps/worker/src/engines/host.ts", "apps/worker/src/supervise/engine-process.ts"],
  ["apps/worker/src/engines/llama/main.ts", "apps/worker/src/prepare/preparer.ts"],
  ["apps/worker/src/protocol/delta.ts", "apps/worker/src/engines/host.ts"],
  ["apps/worker/src/fit/plan-memory.ts", "apps/worker/src/protocol/engine-options.ts"],
  ["tools/bench/main.ts", "node-llama-cpp"],
  ["tools/bench/main.ts", "apps/worker/src/engines/llama/step-loop.ts"],
  ["tools/bench/batch/bare-engine.ts", "apps/worker/src/engines/llama/engine.ts"],
  ["apps/gateway/src/routes/create-job.ts", "bullmq"],
  ["apps/gateway/src/follow/event-hub.ts", "express"],
  ["apps/worker/src/main.ts", "commander"],
  ["apps/worker/src/consumer/attempt.ts", "apps/worker/src/config.ts"],
  [`${shared}/redis/job-store.ts`, `${shared}/contract/index.ts`],
])("%s may not import %s", (file, target) => {
  expect(violations([{ file, target }])).toHaveLength(1);
});

test.each([
  ["apps/gateway/src/app.ts", `${shared}/contract/job.ts`],
  ["apps/gateway/src/app.ts", "apps/gateway/src/routes/models.ts"],
  [`${shared}/contract/job.ts`, "zod"],
  [`${shared}/contract/job.test.ts`, "vitest"],
  ["apps/worker/src/engines/llama/load-model.ts", "node-llama-cpp"],
  ["apps/worker/src/engines/llama/load-model.ts", "apps/worker/src/fit/plan-memory.ts"],
  ["apps/worker/src/supervise/engine-process.ts", "apps/worker/src/protocol/engine.ts"],
  ["apps/worker/src/engines/engine-contract.test.ts", "apps/worker/src/prepare/preparer.ts"],
  ["tools/bench/engine/library-context.ts", "node-llama-cpp"],
  ["tools/bench/engine/engine-under-test.ts", "apps/worker/src/engines/llama/step-loop.ts"],
  ["tools/bench/batch/lines-under-test.ts", "apps/worker/src/engines/llama/llama-engine.ts"],
  ["apps/worker/src/worker.test.ts", "bullmq"],
  ["apps/worker/src/worker.test.ts", "packages/testing/src/cluster.ts"],
  ["apps/worker/src/some.fixture.ts", "packages/testing/src/cluster.ts"],
  ["apps/worker/src/some.fixture.ts", "packages/shared/src/redis/new-batch.fixture.ts"],
  ["apps/worker/src/worker.ts", "apps/worker/src/config.ts"],
  ["test/skills.test.ts", "packages/testing/src/cluster.ts"],
])("%s may import %s", (file, target) => {
  expect(violations([{ file, target }])).toEqual([]);
});
