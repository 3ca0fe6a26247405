import { expect, test } from "vitest";
import { compareEventIds, tokenEventSchema } from "./token-event.ts";

test("ids order by attempt, then by number, not as text", () => {
  const ids = ["10-1", "2-1", "1-10", "1-9", "0-1", "2-1"];
  expect(ids.toSorted(compareEventIds)).toEqual(["0-1", "1-9", "1-10", "2-1", "2-1", "10-1"]);
  expect(compareEventIds("3-7", "3-7")).toBe(0);
});

test("an event has the data of its type", () => {
  expect(tokenEventSchema.safeParse({ type: "start", data: { attempt: 1 } }).success).toBe(true);
  expect(tokenEventSchema.safeParse({ type: "start", data: { text: "x" } }).success).toBe(false);
  expect(tokenEventSchema.safeParse({ type: "end", data: { status: "done" } }).success).toBe(false);
});
