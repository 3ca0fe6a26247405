import type { EmbeddingCreateParams } from "openai/resources/embeddings";
import { expect, test } from "vitest";
import type { QuernError } from "../contract/errors.ts";
import { parseEmbeddingsRequest } from "./embeddings-request.ts";

function refusal(body: unknown): Pick<QuernError, "code" | "param" | "message"> {
  try {
    parseEmbeddingsRequest(body);
  } catch (error) {
    const { code, param, message } = error as QuernError;
    return { code, param, message };
  }
  throw new Error("the body was accepted");
}

test("one text or several, in their order", () => {
  expect(parseEmbeddingsRequest({ model: "m", input: "Hi" })).toEqual({
    model: "m",
    class: "interactive",
    embedding: { inputs: ["Hi"], dimensions: null, encoding: "float" },
  });
  const body: EmbeddingCreateParams = {
    model: "m",
    input: ["b", "a"],
    dimensions: 256,
    encoding_format: "base64",
    user: "ann",
  };
  expect(parseEmbeddingsRequest(body)).toEqual({
    model: "m",
    class: "interactive",
    embedding: { inputs: ["b", "a"], dimensions: 256, encoding: "base64" },
  });
});

test("null counts as absent", () => {
  const nulls = { model: "m", input: "Hi", dimensions: null, encoding_format: null, user: null };
  expect(parseEmbeddingsRequest(nulls)).toEqual(parseEmbeddingsRequest({ model: "m", input: "Hi" }));
});

test.each([[[1, 2, 3]], [[[1, 2], [3]]], [["Hi", [1]]]])("token ids %j are no text", (input) => {
  expect(refusal({ model: "m", input })).toEqual({
    code: "unsupported_parameter",
    param: "input",
    message: "input: token ids are not supported: send the text itself",
  });
});

test("as many inputs as OpenAI takes, and no more", () => {
  expect(parseEmbeddingsRequest({ model: "m", input: Array(2_048).fill("x") }).embedding.inputs).toHaveLength(
    2_048,
  );
  expect(refusal({ model: "m", input: Array(2_049).fill("x") })).toMatchObject({
    param: "input",
    message: expect.stringMatching(/1 to 2048/),
  });
});

test.each<[body: unknown, param: string | null]>([
  [{ input: "Hi" }, "model"],
  [{ model: "m" }, "input"],
  [{ model: "m", input: "" }, "input"],
  [{ model: "m", input: [] }, "input"],
  [{ model: "m", input: ["a", ""] }, "input[1]"],
  [{ model: "m", input: { text: "a" } }, "input"],
  [{ model: "m", input: ["a", "\uD800"] }, "input[1]"],
  [{ model: "m", input: "a", dimensions: 0 }, "dimensions"],
  [{ model: "m", input: "a", encoding_format: "int8" }, "encoding_format"],
  [{ model: "m", input: "a", truncate: true }, "truncate"],
  [null, null],
])("a body at fault is refused by the name of its field: %j", (body, param) => {
  expect(refusal(body)).toMatchObject({ code: "invalid_request", param });
});
