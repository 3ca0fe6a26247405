import { setTimeout as sleep } from "node:timers/promises";
import { limitFileSize } from "@quern/testing/full-disk";
import type { Fault } from "./fault.ts";

const FULL_MS = { least: 500, most: 3_000 };
/** No append-only file of a run is that small: the next write is too much. */
const NO_ROOM_BYTES = 1;
const LOOK_INTERVAL_MS = 50;

/**
 * Redis can write no more, answers every write with MISCONF, and goes on once there is room. With `appendfsync always` it
 * would end at the first write instead, which is `kill -9 redis` once more.
 */
export const fillDisk: Fault = {
  name: "disk full",
  hits: "redis",
  inject: async ({ cluster, random }) => {
    const pid = cluster.redisPid;
    await cluster.redis.config("SET", "appendfsync", "everysec");
    await limitFileSize(pid, NO_ROOM_BYTES);
    try {
      await sleep(random.between(FULL_MS.least, FULL_MS.most));
    } finally {
      await limitFileSize(pid, null);
    }
    // Redis tries again once a second: until then it is as full as before, and the fault is not over.
    while ((await cluster.redis.info("persistence")).includes("aof_last_write_status:err")) {
      await sleep(LOOK_INTERVAL_MS);
    }
    await cluster.redis.config("SET", "appendfsync", "always");
  },
};
