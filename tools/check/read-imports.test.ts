import { expect, test } from "vitest";
import { importsOf } from "./read-imports.ts";

test("finds every form of import, and where it leads", () => {
  const source = `
    import type { A } from "@quern/shared/contract/job";
    import { startRedis } from "@quern/testing/redis-server";
    import { b } from "../routes/b.ts";
    import "bullmq/dist/esm/index.js";
    import { readFile } from "node:fs/promises";
    export * from "@opentelemetry/api/build";
    const { c } = await import("node-llama-cpp");
    const d = await import(someName);
  `;
  expect(importsOf("apps/gateway/src/http/x.ts", source).map(({ target }) => target)).toEqual([
    "packages/shared/src/contract/job.ts",
    "packages/testing/src/redis-server.ts",
    "apps/gateway/src/routes/b.ts",
    "bullmq",
    "node:fs/promises",
    "@opentelemetry/api",
    "node-llama-cpp",
  ]);
});
