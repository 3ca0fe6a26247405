import { generationRequest } from "@quern/shared/contract/generation-request.fixture";
import { expect, test } from "vitest";
import { estimateTokens, type MeasuredLengths } from "./line-cost.ts";

const messages = [{ role: "user" as const, content: "x".repeat(400) }];
const moments = (mean: number) => ({ count: 9, mean, variance: 0, p50: mean, p90: mean });
const measured: MeasuredLengths = {
  tokensPerCharacter: moments(0.5),
  completionTokens: moments(40),
  completionShare: moments(0.1),
};

test.each([
  ["nothing measured", null, { maxTokens: null }, 100 + 256],
  ["nothing measured, a short answer", null, { maxTokens: 20 }, 100 + 20],
  ["nothing measured, three answers", null, { maxTokens: 20, choices: 3 }, 100 + 60],
  ["measured", measured, { maxTokens: null }, 200 + 40],
  ["measured, by what was allowed", measured, { maxTokens: 1_000 }, 200 + 100],
  ["no share measured", { ...measured, completionShare: null }, { maxTokens: 10 }, 200 + 10],
])("%s", (_, lengths, changes, tokens) => {
  expect(estimateTokens(generationRequest({ messages, ...changes }), lengths)).toBe(tokens);
});

test("vectors are read, not written", () => {
  const request = { inputs: ["x".repeat(30), "x".repeat(11)], dimensions: null, encoding: "float" as const };
  expect(estimateTokens(request, null)).toBe(11);
});
