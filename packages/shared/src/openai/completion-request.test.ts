import type { CompletionCreateParams } from "openai/resources/completions";
import { expect, test } from "vitest";
import type { QuernError } from "../contract/errors.ts";
import { generationRequestSchema } from "../contract/generation.ts";
import { parseCompletionRequest } from "./completion-request.ts";

const drawSeed = () => 42;
const parse = (body: unknown) => parseCompletionRequest(body, { drawSeed });

test("a text alone: 16 tokens, as OpenAI has it, and no template's business", () => {
  const { generation, ...asked } = parse({ model: "m", prompt: "Hi" });
  expect(asked).toEqual({ model: "m", class: "interactive", stream: false, includeUsage: false });
  expect(generation).toEqual(
    generationRequestSchema.parse({
      completion: { prompt: "Hi", suffix: null },
      messages: [],
      tools: [],
      templateOptions: {},
      sampling: {},
      seed: 42,
      maxTokens: 16,
      stop: [],
    }),
  );
});

test("every parameter", () => {
  const body: CompletionCreateParams = {
    model: "m",
    prompt: ["def add("],
    suffix: "\n",
    max_tokens: 5,
    temperature: 0,
    top_p: 0.5,
    presence_penalty: 1,
    frequency_penalty: -1,
    logit_bias: { "7": -100 },
    logprobs: 3,
    n: 2,
    best_of: 2,
    seed: 9,
    stop: "\n\n",
    stream: true,
    stream_options: { include_usage: true },
    echo: false,
    user: "ann",
  };
  expect(parse(body)).toMatchObject({
    stream: true,
    includeUsage: true,
    generation: {
      completion: { prompt: "def add(", suffix: "\n" },
      maxTokens: 5,
      sampling: { temperature: 0, topP: 0.5, presencePenalty: 1, frequencyPenalty: -1 },
      logitBias: [{ token: 7, bias: -100 }],
      topLogprobs: 3,
      choices: 2,
      seed: 9,
      stop: ["\n\n"],
    },
  });
});

test("null counts as absent, and so does an empty suffix", () => {
  const plain = parse({ model: "m", prompt: "Hi" });
  const nulls = { suffix: null, max_tokens: null, logprobs: null, echo: null, best_of: null, n: null };
  expect(parse({ model: "m", prompt: "Hi", ...nulls })).toEqual(plain);
  expect(parse({ model: "m", prompt: "Hi", suffix: "" })).toEqual(plain);
});

test("a gap may stand at the very beginning", () => {
  expect(parse({ model: "m", prompt: "", suffix: "end" }).generation.completion).toEqual({
    prompt: "",
    suffix: "end",
  });
});

test.each<[changes: object, code: string, param: string, message: RegExp]>([
  [{ prompt: [1, 2] }, "unsupported_parameter", "prompt", /token ids/],
  [{ prompt: [[1], [2]] }, "unsupported_parameter", "prompt", /token ids/],
  [{ prompt: ["a", "b"] }, "invalid_request", "prompt", /one request for each/],
  [{ prompt: [] }, "invalid_request", "prompt", /one request for each/],
  [{ prompt: "" }, "invalid_request", "prompt", /must not be empty/],
  [{ prompt: undefined }, "invalid_request", "prompt", /./],
  [{ prompt: "\uD800" }, "invalid_request", "prompt", /surrogate/],
  [{ echo: true }, "unsupported_parameter", "echo", /yourself/],
  [{ best_of: 3 }, "unsupported_parameter", "best_of", /n=3/],
  [{ logprobs: 6 }, "invalid_request", "logprobs", /./],
  [{ logprobs: true }, "invalid_request", "logprobs", /./],
  [{ tools: [] }, "invalid_request", "tools", /unknown parameter/],
])("%j is refused by the name of its field", (changes, code, param, message) => {
  expect(faultOf({ model: "m", prompt: "Hi", ...changes })).toMatchObject({
    code,
    param,
    message: expect.stringMatching(message),
  });
});

function faultOf(body: unknown): QuernError {
  try {
    parse(body);
  } catch (error) {
    return error as QuernError;
  }
  throw new Error("it was accepted");
}
