import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Round, RoundOutcome } from "./claim-data-folder.fixture.ts";
import { claimDataFolder } from "./claim-data-folder.ts";

/** QUERN_RACE_ROUNDS=300 races longer. */
const RACE_ROUNDS = Number(process.env.QUERN_RACE_ROUNDS ?? 30);
const MAX_ROUND_MS = 2_000;
/** Linux gives no higher PID than 2^22. */
const PID_OF_NOBODY = 2 ** 22 + 1;
/** Both processes have their message by then. */
const LEAD_MS = 10;

let folder: string;
let starters: ChildProcess[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-claim-"));
});
afterEach(async () => {
  await Promise.all(starters.map(endStarter));
  starters = [];
  await rm(folder, { recursive: true, force: true });
});

async function startStarter(): Promise<ChildProcess> {
  const starter = fork(new URL("./claim-data-folder.fixture.ts", import.meta.url), { execArgv: [] });
  starters.push(starter);
  await once(starter, "message");
  return starter;
}

async function endStarter(starter: ChildProcess): Promise<void> {
  if (starter.exitCode !== null || starter.signalCode !== null) return;
  starter.kill("SIGKILL");
  await once(starter, "exit");
}

async function outcomeOf(starter: ChildProcess, round: Round): Promise<RoundOutcome> {
  const reply = once(starter, "message");
  starter.send(round);
  return (await reply)[0] as RoundOutcome;
}

test(
  "of two starts in the same instant exactly one owns the data directory",
  async () => {
    const both = [await startStarter(), await startStarter()];
    const owners: number[] = [];
    for (let number = 0; number < RACE_ROUNDS; number += 1) {
      const round = { folder: join(folder, String(number)), startAtMs: Date.now() + LEAD_MS };
      await mkdir(round.folder);
      // What a Quern that was killed leaves behind.
      await writeFile(join(round.folder, "supervisor.pid"), String(PID_OF_NOBODY));
      const outcomes = await Promise.all(both.map((starter) => outcomeOf(starter, round)));
      owners.push(outcomes.filter((outcome) => outcome === "owns").length);
    }
    const rounds = (count: number) => owners.filter((owning) => owning === count).length;
    expect({ none: rounds(0), one: rounds(1), both: rounds(2) }).toEqual({
      none: 0,
      one: RACE_ROUNDS,
      both: 0,
    });
  },
  RACE_ROUNDS * MAX_ROUND_MS,
);

test("a Quern that was killed is no obstacle, whichever process has its PID now", async () => {
  const killed = await startStarter();
  expect(await outcomeOf(killed, { folder, startAtMs: 0 })).toBe("owns");
  await endStarter(killed);
  for (const file of [...(await readdir(folder)), "redis.pid"]) {
    await writeFile(join(folder, file), String(process.ppid));
  }
  expect(await outcomeOf(await startStarter(), { folder, startAtMs: 0 })).toBe("owns");
});

test("a refusal names the process that has the data directory", async () => {
  const owner = await startStarter();
  expect(await outcomeOf(owner, { folder, startAtMs: 0 })).toBe("owns");
  await expect(claimDataFolder(folder, ".quern")).rejects.toMatchObject({
    code: "redis_unsuitable",
    message: expect.stringContaining(`another Quern (process ${owner.pid} on ${hostname()})`),
  });
});
