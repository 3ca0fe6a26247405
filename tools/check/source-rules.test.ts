import { expect, test } from "vitest";
import { sourceViolations, unusedScripts } from "./source-rules.ts";

const file = (path: string, text: string | null, bytes = 10) => ({ path, text, bytes });

test("the environment is read in config.ts only", () => {
  const text = "const url = process.env.REDIS_URL;";
  expect(sourceViolations(file("apps/gateway/src/routes/x.ts", text))).toHaveLength(1);
  expect(sourceViolations(file("packages/shared/src/redis/x.ts", text))).toHaveLength(1);
  expect(sourceViolations(file("apps/gateway/src/config.ts", text))).toEqual([]);
});

test("no test is skipped, and none runs alone", () => {
  expect(sourceViolations(file("test/x.test.ts", 'test.only("a", () => {})'))).toHaveLength(1);
  expect(sourceViolations(file("test/x.test.ts", 'describe.skip("a", () => {})'))).toHaveLength(1);
  expect(sourceViolations(file("test/x.test.ts", 'test.skipIf(no)("a", () => {})'))).toEqual([]);
});

test("nothing large", () => {
  expect(sourceViolations(file("models/x.gguf", null, 11 * 2 ** 20))).toHaveLength(1);
});

test("every Lua command is loaded by somebody", () => {
  const lua = file("packages/shared/src/redis/lua/a.lua", "return 1");
  expect(unusedScripts([lua])).toHaveLength(1);
  expect(unusedScripts([lua, file("x.ts", 'loadScript("a.lua")')])).toEqual([]);
});
