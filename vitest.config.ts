import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["apps/**/*.test.ts", "packages/**/*.test.ts", "tools/**/*.test.ts", "test/**/*.test.ts"],
    globalSetup: ["packages/testing/src/docker-global-setup.ts"],
    pool: "forks",
    // Most tests run whole processes of their own: more at once would only take the cores from each other.
    maxWorkers: 2,
    // Tests wait for conditions; this is how long one that never comes true may hold up a run.
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
