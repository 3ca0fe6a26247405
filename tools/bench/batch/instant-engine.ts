/** What a worker needs for its engine to answer at once, without a model. */
export const instantEngine: Record<string, string> = {
  NODE_OPTIONS: `--import=${new URL("./instant-engine-preload.ts", import.meta.url).href}`,
};
