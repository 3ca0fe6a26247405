import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { clockSkew } from "./clock-skew.ts";
import { environmentWith } from "./docker-config.ts";

const run = promisify(execFile);

test("a process with a skewed clock has another time of day, and otherwise the same Date", async () => {
  const script = `console.log(JSON.stringify([
    Date.now(), new Date().getTime(), new Date(5).getTime(), new Date(2020, 0, 2).getMonth(),
    new Date("2020-01-01T00:00:00Z").toISOString(), new Date() instanceof Date, Date.UTC(1970, 0, 1)]))`;
  const { stdout } = await run(process.execPath, ["-e", script], {
    env: environmentWith(clockSkew(-3_600_000)),
  });
  const [now, fresh, ...rest] = JSON.parse(stdout) as number[];
  for (const timeMs of [now, fresh] as number[]) {
    expect(Date.now() - timeMs).toBeGreaterThanOrEqual(3_600_000);
    expect(Date.now() - timeMs).toBeLessThan(3_600_000 + 60_000);
  }
  expect(rest).toEqual([5, 0, "2020-01-01T00:00:00.000Z", true, 0]);
});
