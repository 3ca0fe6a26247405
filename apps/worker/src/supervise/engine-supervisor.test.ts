import { join } from "node:path";
import { until } from "@quern/testing/cluster";
import { expect, test } from "vitest";
import { engineOptions } from "../model-options.fixture.ts";
import { DEFAULT_CHILD } from "./engine-process.ts";
import { EngineSupervisor } from "./engine-supervisor.ts";

const model = join(import.meta.dirname, "..", "..", "..", "..", "models", "tiny-qwen3-q8_0.gguf");

test("the fifth death makes it unhealthy, an engine that lives makes it healthy again", async () => {
  const told: string[] = [];
  let kills = 0;
  const events = {
    ready: ({ pid }: { pid: number }) => {
      told.push("ready");
      if (kills === 5) return;
      kills += 1;
      process.kill(pid, "SIGKILL");
    },
    occupied: () => {},
    died: () => told.push("died"),
    restartFailed: (error: Error) => told.push(error.message),
    unhealthy: (reason: string) => told.push(`unhealthy: ${reason}`),
    recovered: () => told.push("recovered"),
  };
  const never = new AbortController().signal;
  const supervisor = await EngineSupervisor.start(
    engineOptions(model),
    [],
    events,
    never,
    DEFAULT_CHILD,
    500,
  );
  try {
    await until(async () => told.includes("recovered"));
  } finally {
    await supervisor.close();
  }
  const deaths = Array.from({ length: 5 }, () => ["ready", "died"]).flat();
  expect(told).toEqual([...deaths, "unhealthy: SIGKILL", "ready", "recovered"]);
});
