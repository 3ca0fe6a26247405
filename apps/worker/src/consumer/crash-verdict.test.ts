import { expect, test } from "vitest";
import { crashVerdict } from "./crash-verdict.ts";

const crashed = (...atWork: string[]) => ({ how: "crashed" as const, atWork: new Set(atWork) });
const killed = (...atWork: string[]) => ({ how: "killed" as const, atWork: new Set(atWork) });

test("a job that still waited has no part in it, however often that happens", () => {
  expect(crashVerdict("a", 7, crashed("b", "c"))).toBe("bystander");
});

test("all that an engine was at work on when it crashed are suspects", () => {
  expect(crashVerdict("a", 0, crashed("a", "b"))).toBe("suspect");
  expect(crashVerdict("a", 0, crashed("a"))).toBe("suspect");
});

test("the first kill from outside makes no suspects, the second does", () => {
  expect(crashVerdict("a", 0, killed("a", "b"))).toBe("again");
  expect(crashVerdict("a", 1, killed("a", "b"))).toBe("suspect");
});

test("only who was alone is the culprit, and not before the third death", () => {
  expect(crashVerdict("a", 1, crashed("a"))).toBe("suspect");
  expect(crashVerdict("a", 2, crashed("a"))).toBe("culprit");
  expect(crashVerdict("a", 2, killed("a"))).toBe("culprit");
  expect(crashVerdict("a", 9, crashed("a", "b"))).toBe("suspect");
});
