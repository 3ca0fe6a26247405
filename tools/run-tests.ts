import { findOrInstallRedis } from "@quern/shared/process/redis-binary";
import { parseCLI, startVitest } from "vitest/node";
import { endSurvivors } from "./survivors.ts";

// `npm test [-- <files and vitest's options>]`: every test against a real Redis and a real llama.cpp. The last line is `N passed, N failed`.

await findOrInstallRedis(console.log);
const { filter, options } = parseCLI(["vitest", ...process.argv.slice(2)]);
const vitest = await startVitest("test", filter, { ...options, run: true });
const states = vitest.state
  .getTestModules()
  .flatMap((module) => [...module.children.allTests()])
  .map((test) => test.result().state);
const brokenModules = vitest.state.getTestModules().filter((module) => module.errors().length > 0).length;
const strayErrors = vitest.state.getUnhandledErrors().length;
await vitest.close();

const survivors = await endSurvivors();
for (const { pid, command } of survivors) console.error(`outlived the tests, killed now: ${pid} ${command}`);

const passed = states.filter((state) => state === "passed").length;
const failed =
  states.filter((state) => state === "failed").length + brokenModules + strayErrors + survivors.length;
const skipped = states.filter((state) => state === "skipped").length;
if (skipped > 0) console.log(`${skipped} skipped`);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
