import { expect, test } from "vitest";
import { cutIntoDistinctPieces } from "./script-pieces.ts";

test.each([
  ["Paris is in France.", ["Paris", " is", " in", " France."]],
  ["ha ha ha ha ha ha ha", ["ha", " ha", " ha ha", " ha ha ha"]],
  ["a a", ["a", " a"]],
  ["x", ["x"]],
  ["no no", ["no", " no"]],
  ["<think>so</think>Oslo", ["<think>", "so", "</think>", "Oslo"]],
  [
    "<think>\nhm, hm, \n</think>\n\nhm, ok\n",
    ["<think>", "\nhm,", " hm, \n", "</think>", "\n\nhm,", " ok\n"],
  ],
  [
    "<tool_call>\n{1}\n</tool_call>\n<tool_call>\n{2}\n</tool_call>",
    ["<tool_call>", "\n{1}\n", "</tool_call>", "\n<tool_call>", "\n{2}\n</tool_call>"],
  ],
])("%j", (text, expected) => {
  const pieces = cutIntoDistinctPieces(text);
  expect(pieces.join("")).toBe(text);
  expect(new Set(pieces).size).toBe(pieces.length);
  expect(pieces).toEqual(expected);
});

test("long texts of few words keep a useful number of pieces", () => {
  const text = "yes no ".repeat(500);
  const pieces = cutIntoDistinctPieces(text);
  expect(pieces.join("")).toBe(text);
  expect(new Set(pieces).size).toBe(pieces.length);
  expect(pieces.length).toBeGreaterThan(30);
});

test("a lone line break never stands alone: prompts end with one", () => {
  expect(cutIntoDistinctPieces("<think>\n</think>\nyes")).toEqual(["<think>\n", "</think>", "\nyes"]);
});
