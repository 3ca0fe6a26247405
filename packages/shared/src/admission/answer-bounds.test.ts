import { expect, test } from "vitest";
import type { QuernError } from "../contract/errors.ts";
import { refuseUnboundedAnswer } from "./answer-bounds.ts";

const plain = { maxTokens: null, choices: 1, topLogprobs: null };

function refusalOf(changes: Partial<Parameters<typeof refuseUnboundedAnswer>[0]>, contextTokens: number) {
  try {
    refuseUnboundedAnswer({ ...plain, ...changes }, { model: "m", contextTokens });
    return null;
  } catch (error) {
    const { code, param, message } = error as QuernError;
    return { code, param, message };
  }
}

test("max_tokens is held against one slot's context, however many choices there are", () => {
  expect(refusalOf({ maxTokens: 1_024 }, 1_024)).toBeNull();
  expect(refusalOf({ maxTokens: 1_024, choices: 16 }, 1_024)).toBeNull();
  expect(refusalOf({ choices: 16 }, 131_072)).toBeNull();
  expect(refusalOf({ maxTokens: 1_025 }, 1_024)).toEqual({
    code: "invalid_request",
    param: "max_tokens",
    message: "max_tokens is 1025, but m has 1024 context tokens for prompt and answer together",
  });
});

test("log-probabilities are bounded over choices, tokens and alternatives together", () => {
  expect(refusalOf({ topLogprobs: 20 }, 40_960)).toBeNull();
  expect(refusalOf({ topLogprobs: 0, choices: 16, maxTokens: 65_536 }, 131_072)).toBeNull();
  expect(refusalOf({ topLogprobs: 0, choices: 16, maxTokens: 65_537 }, 131_072)).toMatchObject({
    code: "invalid_request",
    param: "logprobs",
    message: expect.stringMatching(/come to 1048592 log-probabilities; the limit is 1048576/),
  });
  expect(refusalOf({ topLogprobs: 20, choices: 2 }, 40_960)?.message).toContain(
    "max_tokens is 40960 unless given",
  );
});
