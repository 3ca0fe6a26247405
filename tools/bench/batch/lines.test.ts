import { parseEndpointRequest } from "@quern/shared/openai/endpoint-request";
import { expect, test } from "vitest";
import { linesOfSize, linesWithSharedPrompts, plainLines, readReviews, reviewLines } from "./lines.ts";

const shared = { count: 20, prompts: 5, promptCharacters: 300, characters: 16, tokens: 4, seed: 1 };
const plain = { count: 6, characters: 24, tokens: 4, seed: 1 };

test("every line is a request that its endpoint takes, with a custom_id of its own", () => {
  const kinds = [
    reviewLines("m", 1_001),
    plainLines("m", plain),
    linesWithSharedPrompts("m", shared),
    [...linesOfSize("m", 3, 8_192)],
  ];
  for (const lines of kinds) {
    expect(new Set(lines.map(({ custom_id }) => custom_id)).size).toBe(lines.length);
    for (const { url, body } of lines) {
      expect(parseEndpointRequest(url, body, { drawSeed: () => 1 }).model).toBe("m");
    }
  }
});

test("reviews begin again after the last one", () => {
  const lines = reviewLines("m", 1_001);
  expect(readReviews()).toHaveLength(1_000);
  expect(lines[1_000]?.body.messages).toEqual(lines[0]?.body.messages);
});

test("lines of a size have that size, newline included, and differ", () => {
  const lines = [...linesOfSize("some-model", 3, 8_192)].map((line) => `${JSON.stringify(line)}\n`);
  expect(lines.map(({ length }) => length)).toEqual([8_192, 8_192, 8_192]);
  expect(new Set(lines).size).toBe(3);
});

test("system prompts are few, of their length, and in no order", () => {
  const prompts = linesWithSharedPrompts("m", shared).map(({ body }) => body.messages[0]?.content ?? "");
  expect(new Set(prompts).size).toBe(5);
  expect(Math.min(...prompts.map(({ length }) => length))).toBeGreaterThan(290);
  expect(prompts).not.toEqual([...prompts].sort());
});

test("the same seed gives the same lines, another one others", () => {
  expect(plainLines("m", plain)).toEqual(plainLines("m", plain));
  expect(plainLines("m", plain)[0]).not.toEqual(plainLines("m", { ...plain, seed: 2 })[0]);
});
