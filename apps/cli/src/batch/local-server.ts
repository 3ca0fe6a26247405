import { mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import type { EngineFlags } from "../engine-flags.ts";
import type { Server } from "../server/call.ts";
import { type ClusterSettings, withCluster } from "../up/cluster.ts";
import type { StopSignals } from "../up/stop-signals.ts";
import { coresEach } from "../up/up-options.ts";

export interface LocalOptions {
  dataDir: string;
  model: string;
  engine: EngineFlags;
  threads: number | null;
}

/**
 * Runs a private cluster, on a free port of this machine, while `work` does. What its processes print goes to a file in the data
 * directory.
 */
export async function withLocalServer<Value>(
  { dataDir, model, engine, threads }: LocalOptions,
  settings: ClusterSettings,
  { signals, say }: { signals: StopSignals; say: (line: string) => void },
  work: (server: Server) => Promise<Value>,
): Promise<Value> {
  const logFile = join(dataDir, "quern.log");
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  await using log = await open(logFile, "a");
  const write = (line: string) => void log.write(`${line}\n`);
  const options = {
    port: 0,
    host: "127.0.0.1",
    dataDir,
    models: [model],
    workers: 1,
    engine,
    threads,
    cores: coresEach(1),
  };
  // Nobody else's Redis, files or keys: the data directory is all there is of it.
  const { REDIS_URL: _redis, QUERN_FILES: _files, ...childEnv } = settings.childEnv;
  const voice = { step: write, complain: write, output: log.fd };
  say(`Starting Quern with ${model} on this machine (it logs to ${logFile}).`);
  return await withCluster(options, { ...settings, redisUrl: null, childEnv }, { signals, voice }, (url) =>
    work({ url, apiKey: null }),
  );
}
