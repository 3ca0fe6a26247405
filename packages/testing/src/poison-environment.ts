/** What a worker needs for its engine to die of certain words. */
export const poisonEnvironment: Record<string, string> = {
  NODE_OPTIONS: `--import=${new URL("./poison-preload.ts", import.meta.url).href}`,
};

/** A prompt with it kills the engine that gets it. */
export const ENGINE_POISON = "poison-for-the-engine";
/** A prompt with it kills the worker, and its engine with it. */
export const WORKER_POISON = "poison-for-the-worker";
