import { expect, test } from "vitest";
import { inputsFit, refuseLongInputs, refuseUnboundedVectors } from "./embedding.ts";
import { generationRequest } from "./generation-request.fixture.ts";
import { isEmbeddingRequest, jobRecordSchema } from "./job.ts";

const texts = (count: number) => Array<string>(count).fill("x");

test("vectors have at most the numbers that the model gives", () => {
  refuseUnboundedVectors({ inputs: ["a"], dimensions: 64 }, 64);
  expect(() => refuseUnboundedVectors({ inputs: ["a"], dimensions: 65 }, 64)).toThrow(
    expect.objectContaining({
      code: "invalid_request",
      param: "dimensions",
      message: expect.stringMatching(/have 64/),
    }),
  );
});

test("all vectors of a request together are bounded, and the cure is named", () => {
  refuseUnboundedVectors({ inputs: texts(2_048), dimensions: null }, 1_024);
  refuseUnboundedVectors({ inputs: texts(2_048), dimensions: 1_024 }, 4_096);
  expect(() => refuseUnboundedVectors({ inputs: texts(513), dimensions: null }, 4_096)).toThrow(
    expect.objectContaining({
      code: "invalid_request",
      param: "input",
      message: expect.stringMatching(/at most 512 inputs/),
    }),
  );
});

test("the first input that is longer than the context is named", () => {
  expect(inputsFit([10, 10], 10)).toBe(true);
  refuseLongInputs([10, 10], 10);
  expect(inputsFit([10, 11, 12], 10)).toBe(false);
  expect(() => refuseLongInputs([10, 11, 12], 10)).toThrow(
    expect.objectContaining({
      code: "context_length_exceeded",
      param: "input[1]",
      message: expect.stringMatching(/^input 1 has 11 tokens/),
    }),
  );
});

test("inputs that are too long together are refused though each of them fits", () => {
  const inputs = Array<number>(301).fill(1_000);
  expect(inputsFit(inputs, 1_000)).toBe(false);
  expect(() => refuseLongInputs(inputs, 1_000)).toThrow(
    expect.objectContaining({ code: "invalid_request", param: "input" }),
  );
  expect(inputsFit(inputs.slice(1), 1_000)).toBe(true);
});

test("a job's request and result are told apart by what they hold", () => {
  const embedding = { inputs: ["a"], dimensions: null, encoding: "float" as const };
  expect(jobRecordSchema.shape.request.parse(embedding)).toEqual(embedding);
  expect(isEmbeddingRequest(embedding)).toBe(true);
  const generation = generationRequest();
  expect(jobRecordSchema.shape.request.parse(generation)).toEqual(generation);
  expect(isEmbeddingRequest(generation)).toBe(false);
  const vectors = { vectors: ["AAAA"], encoding: "base64" as const };
  expect(jobRecordSchema.shape.result.parse(vectors)).toEqual(vectors);
});
