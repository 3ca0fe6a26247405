import { describe, expect, test } from "vitest";
import { type CrashVerdict, crashVerdict, MAX_KILLS, reachedBound, type SeenDeath } from "./crash-verdict.ts";

function seen(changes: Partial<SeenDeath>): SeenDeath {
  return {
    how: "killed",
    oomKilled: false,
    wasAtWork: true,
    wasAlone: true,
    ranMs: 500,
    gotFurther: false,
    crashes: 0,
    kills: 0,
    ...changes,
  };
}

/** In one word and its delay: `suspect` and `again` count, `forgiven` and `bystander` don't. */
function wordOf(verdict: CrashVerdict): string {
  if (verdict.kind === "fail") return `fails after ${verdict.after}`;
  const { because, makesSuspect, backOffMs } = verdict;
  if (because === "given_back") return "bystander";
  if (because === "killed_further") return "forgiven";
  return `${because}, ${makesSuspect ? "suspect" : "again"}, ${backOffMs} ms`;
}

describe.each(["crashed", "hung"] as const)("an engine that %s", (how) => {
  test.each<[string, Partial<SeenDeath>, string]>([
    ["the first makes a suspect", {}, "crashed, suspect, 0 ms"],
    ["so does the second", { crashes: 1 }, "crashed, suspect, 0 ms"],
    ["the third fails the job that was alone", { crashes: 2 }, "fails after crashes"],
    ["but no job that had company", { crashes: 9, wasAlone: false }, "crashed, suspect, 0 ms"],
    ["how far it got does not matter", { crashes: 2, gotFurther: true }, "fails after crashes"],
    ["nor how long it ran", { crashes: 2, ranMs: 3_600_000 }, "fails after crashes"],
    ["nor kills from outside", { crashes: 1, kills: 19 }, "crashed, suspect, 0 ms"],
    ["nor an OOM kill elsewhere", { oomKilled: true }, "crashed, suspect, 0 ms"],
    ["a job that waited had no part in it", { crashes: 7, wasAtWork: false }, "bystander"],
  ])("%s", (_, changes, verdict) => {
    expect(wordOf(crashVerdict(seen({ how, ...changes })))).toBe(verdict);
  });
});

test.each<[string, Partial<SeenDeath>, string]>([
  ["the first kill costs nothing", {}, "killed, again, 0 ms"],
  ["the third is no crash", { kills: 2 }, "killed, again, 500 ms"],
  ["the fifth makes a suspect", { kills: 4 }, "killed, suspect, 2000 ms"],
  ["the nineteenth fails nobody", { kills: MAX_KILLS - 2 }, "killed, suspect, 30000 ms"],
  ["the twentieth fails the job that was alone", { kills: MAX_KILLS - 1 }, "fails after kills"],
  ["but no job that had company", { kills: 30, wasAlone: false }, "killed, suspect, 30000 ms"],
  ["crashes do not count with them", { crashes: 2 }, "killed, again, 0 ms"],
  ["a job that got further is forgiven all of them", { kills: 19, gotFurther: true }, "forgiven"],
  ["a job that waited had no part in it", { kills: 19, wasAtWork: false }, "bystander"],
])("killed from outside: %s", (_, changes, verdict) => {
  expect(wordOf(crashVerdict(seen(changes)))).toBe(verdict);
});

test.each<[string, Partial<SeenDeath>, string]>([
  ["the first costs nothing", {}, "killed, again, 0 ms"],
  ["the second makes a suspect", { kills: 1 }, "killed, suspect, 250 ms"],
  ["not of a job that had run for long", { kills: 1, ranMs: 60_000 }, "killed, again, 250 ms"],
  ["the twentieth fails the job that was alone", { kills: MAX_KILLS - 1 }, "fails after kills"],
  ["a job that got further is forgiven", { kills: 1, gotFurther: true }, "forgiven"],
])("killed for want of memory: %s", (_, changes, verdict) => {
  expect(wordOf(crashVerdict(seen({ oomKilled: true, ...changes })))).toBe(verdict);
});

test("all kills that a job may see without getting further are spread over minutes", () => {
  let waitedMs = 0;
  for (let kills = 0; kills < MAX_KILLS - 1; kills++) {
    const verdict = crashVerdict(seen({ kills }));
    if (verdict.kind === "fail") throw new Error(`it failed after ${kills + 1} kills`);
    waitedMs += verdict.backOffMs;
  }
  expect(waitedMs).toBeGreaterThan(300_000);
  expect(waitedMs).toBeLessThan(900_000);
});

test("a claim finds out the job that lost its workers too often", () => {
  expect(reachedBound({ crashes: 2, kills: MAX_KILLS - 1 })).toBeNull();
  expect(reachedBound({ crashes: 3, kills: 0 })).toBe("crashes");
  expect(reachedBound({ crashes: 0, kills: MAX_KILLS })).toBe("kills");
});
