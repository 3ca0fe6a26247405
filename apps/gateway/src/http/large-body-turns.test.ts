import { expect, test } from "vitest";
import { LargeBodyTurns } from "./large-body-turns.ts";

test("after a body that took long the next one waits nineteen times as long", async () => {
  let nowMs = 0;
  const turns = new LargeBodyTurns({ now: () => nowMs });
  const order: string[] = [];
  const costly = (name: string) => () => {
    order.push(name);
    nowMs += 2;
  };
  const began = performance.now();
  const first = turns.take(costly("first"));
  const second = turns.take(costly("second"));
  await first;
  expect(order).toEqual(["first"]);
  await second;
  // The clock of the test stands still while the second one waits for 38 real milliseconds.
  expect(performance.now() - began).toBeGreaterThan(30);
  expect(order).toEqual(["first", "second"]);
});

test("a body whose work throws rejects, and the next one has its turn", async () => {
  const turns = new LargeBodyTurns({ now: () => 0 });
  const broken = turns.take(() => {
    throw new Error("no JSON");
  });
  await expect(broken).rejects.toThrow("no JSON");
  let ran = false;
  await turns.take(() => {
    ran = true;
  });
  expect(ran).toBe(true);
});

test("bodies that would take too much memory are refused before they are read, and none alone", () => {
  const turns = new LargeBodyTurns({ maxHeldBytes: 100 });
  const first = turns.hold(150);
  expect(() => turns.hold(1)).toThrow(/as many large bodies/);
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  const held = turns.hold(60);
  expect(() => turns.hold(60)).toThrow(expect.objectContaining({ code: "gateway_overloaded" }));
  held[Symbol.dispose]();
  turns.hold(60);
});
