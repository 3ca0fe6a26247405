import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DirectoryStore } from "@quern/shared/files/directory-store";
import { connectRedis } from "@quern/shared/redis/connect";
import { type Cluster, startCluster } from "@quern/testing/cluster";
import type { Redis } from "ioredis";

/** A gateway, Redis and files, where what scheduler and workers would do is the test's to do. */
export interface UnstaffedCluster extends AsyncDisposable {
  cluster: Cluster;
  redis: Redis;
  files: DirectoryStore;
  /** Where the files are. */
  folder: string;
}

export async function startUnstaffedCluster(): Promise<UnstaffedCluster> {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "quern-unstaffed-"));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const cluster = stack.use(
    await startCluster({ workers: [], schedulers: [], env: { QUERN_FILES: folder } }),
  );
  const redis = connectRedis(cluster.redis.url, "work", () => {});
  stack.defer(() => redis.disconnect());
  const started = stack.move();
  const files = new DirectoryStore(folder);
  return { cluster, redis, files, folder, [Symbol.asyncDispose]: () => started.disposeAsync() };
}
