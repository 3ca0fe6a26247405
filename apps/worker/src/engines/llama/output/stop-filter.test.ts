import { expect, test } from "vitest";
import { StopFilter } from "./stop-filter.ts";

function filter(stops: string[], pieces: string[]): { pieces: string[]; end: string; stopped: boolean } {
  const stop = new StopFilter(stops);
  return { pieces: pieces.map((piece) => stop.push(piece)), end: stop.end(), stopped: stop.stopped };
}

test("without stop strings text passes unchanged", () => {
  expect(filter([], ["a", "b"])).toEqual({ pieces: ["a", "b"], end: "", stopped: false });
});

test("a stop string over three pieces ends the text before it", () => {
  expect(filter(["END"], ["one E", "N", "D two"])).toEqual({
    pieces: ["one ", "", ""],
    end: "",
    stopped: true,
  });
});

test("what only looked like a stop string comes out", () => {
  expect(filter(["END"], ["one E", "N", "X"])).toEqual({
    pieces: ["one ", "", "ENX"],
    end: "",
    stopped: false,
  });
});

test("what is held at the end belongs to the text", () => {
  expect(filter(["END"], ["one EN"])).toEqual({ pieces: ["one "], end: "EN", stopped: false });
});

test("the earliest of several wins, and a repeated beginning is not missed", () => {
  expect(filter(["two", "one"], ["zero one two"]).pieces).toEqual(["zero "]);
  expect(filter(["aab"], ["aa", "ab", "c"])).toEqual({ pieces: ["", "a", ""], end: "", stopped: true });
});
