import { testRunId } from "./docker-config.ts";
import { findDockerEngine } from "./docker-engine.ts";
import { removeLeftContainers } from "./docker-redis.ts";
import { chooseRedis } from "./docker-redis-choice.ts";

/** vitest's `globalSetup`: settles once, before any test process starts, where Redis comes from. */
export async function setup(): Promise<void> {
  testRunId();
  await chooseRedis();
}

export async function teardown(): Promise<void> {
  const choice = await chooseRedis();
  if (choice.kind !== "container") return;
  const { engine } = await findDockerEngine([choice.host]);
  if (engine === null) return;
  const removed = await removeLeftContainers(engine);
  if (removed > 0)
    throw new Error(`${removed} container(s) outlived the tests that started them; removed now`);
}
