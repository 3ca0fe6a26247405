import { expect, test } from "vitest";
import { engineEndOf } from "./engine-end.ts";

test.each([
  ["SIGKILL", "killed"],
  ["SIGKILL: llama_decode", "killed"],
  ["SIGTERM", "killed"],
  ["exit code 137", "killed"],
  ["exit code 143: bye", "killed"],
  [null, "killed"],
  ["SIGABRT: GGML_ASSERT(x) failed", "crashed"],
  ["SIGSEGV", "crashed"],
  ["SIGBUS", "crashed"],
  ["exit code 134", "crashed"],
  ["exit code 1: SIGKILL", "crashed"],
  ["exit code 1370", "crashed"],
])("a child that ended with %s was %s", (death, end) => {
  expect(engineEndOf(death)).toBe(end);
});
