import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectRedis } from "@quern/shared/redis/connect";
import { type Cluster, startCluster } from "@quern/testing/cluster";
import { servedModel } from "../cluster/served-model.ts";
import { type BatchTarget, submitBatch, uploadFile, writeLines } from "./batch-client.ts";
import type { InputLine } from "./lines.ts";

export interface BatchClusterOptions {
  modelPath: string;
  slots: number;
  contextTokens: number;
  threads: number;
  /** Slots that lines of batches leave free; null: as many as a worker leaves unless told. */
  reservedSlots: number | null;
  /** Of every process. */
  env?: Record<string, string>;
  /** Of the worker, and its engine. */
  workerEnv?: Record<string, string>;
}

/** Gateway, scheduler, a worker and Redis, all as in production, with a folder for files. */
export interface BatchCluster extends AsyncDisposable {
  readonly cluster: Cluster;
  readonly target: BatchTarget;
  /** The name of its one model. */
  readonly model: string;
  /** Where its files are. */
  readonly filesFolder: string;
  workerLog(): string;
  /** Uploads lines and hands them in. @returns the batch's id. */
  submit(lines: Iterable<InputLine>): Promise<string>;
}

/** Resolves when the worker takes jobs. */
export async function startBatchCluster(
  options: BatchClusterOptions,
  stop: AbortSignal,
): Promise<BatchCluster> {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "quern-bench-"));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const filesFolder = join(folder, "files");
  const { modelPath, slots, contextTokens, threads, reservedSlots } = options;
  const cluster = stack.use(
    await startCluster({
      workers: [
        {
          model: modelPath,
          slots,
          env: {
            QUERN_THREADS: String(threads),
            QUERN_CONTEXT_TOKENS: String(contextTokens),
            ...(reservedSlots === null ? {} : { QUERN_RESERVED_SLOTS: String(reservedSlots) }),
            ...options.workerEnv,
          },
        },
      ],
      env: { QUERN_FILES: filesFolder, ...options.env },
    }),
  );
  stop.throwIfAborted();
  const redis = connectRedis(cluster.redis.url, "work", () => {});
  stack.defer(() => redis.disconnect());
  const target: BatchTarget = { url: cluster.url, redis, stop };
  const model = await servedModel(cluster.url);
  let batches = 0;
  const submit = async (lines: Iterable<InputLine>) => {
    const path = join(folder, `lines-${batches++}.jsonl`);
    await writeLines(path, lines);
    const fileId = await uploadFile(target, path);
    await rm(path);
    return submitBatch(target, fileId);
  };
  const workerLog = () => cluster.workers[0]?.output() ?? "";
  const started = stack.move();
  return {
    cluster,
    target,
    model,
    filesFolder,
    workerLog,
    submit,
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  };
}
