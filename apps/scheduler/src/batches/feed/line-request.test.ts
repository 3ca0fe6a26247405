import type { FedLine, UnfedLine } from "@quern/shared/redis/batch-lines";
import { expect, test } from "vitest";
import type { FeedBatch } from "./feed-batch.ts";
import { toLineRequest } from "./line-request.ts";
import type { ServedModel } from "./served-models.ts";

const batch: FeedBatch = {
  id: "batch_00000000-0000-7000-8000-000000000001",
  tenant: "acme",
  endpoint: "/v1/chat/completions",
  model: "tiny-qwen3",
  inputFileId: "file-1",
  dedupe: false,
  traceparent: "00-11111111111111111111111111111111-2222222222222222-01",
  createdAtMs: 1_000,
  expiresAtMs: 9_000,
};
const description = {
  model: "tiny-qwen3",
  aliases: ["tiny"],
  kind: "chat" as const,
  embeddingDimensions: null,
  architecture: "qwen3",
  parameters: 1,
  experts: null,
  contextTokens: 512,
  thinking: "never" as const,
  fileBytes: 1,
  maxTokenBytes: null,
};
const model: ServedModel = { description, served: [description], workers: [], lengths: null };

function line(body: object, index = 3) {
  const given = { custom_id: "mine", method: "POST", url: batch.endpoint, body };
  const position = { index, offset: 70, bytes: 20 };
  return toLineRequest(batch, { ...position, text: JSON.stringify(given) }, 2, model, 5_000);
}
const body = { model: "tiny", messages: [{ role: "user", content: "Hi there" }], max_tokens: 5 };

test("a line is a job of the batch class that is of no use after its batch's window", () => {
  const { kind, line: fed } = line({ ...body, seed: 9 });
  expect(kind).toBe("job");
  expect(fed).toMatchObject({
    ...{ index: 3, offset: 70, bytes: 20 },
    job: {
      ...{
        tenant: "acme",
        model: "tiny-qwen3",
        class: "batch",
        endpoint: "/v1/chat/completions",
        metadata: {},
      },
      ...{ deadlineAtMs: 9_000, createdAtMs: 5_000, traceparent: batch.traceparent },
      request: { seed: 9, maxTokens: 5 },
      size: { promptCharacters: 8, maxTokens: 5 },
      line: { customId: "mine", copies: 2, estimatedTokens: 7 },
    },
  });
});

test("a line that is fed again has the seed that it had, and no two lines of a batch have one", () => {
  const seed = (index: number) => {
    const { request } = (line(body, index).line as FedLine).job;
    return "seed" in request ? request.seed : null;
  };
  expect(seed(3)).toBe(seed(3));
  expect(new Set(Array.from({ length: 100 }, (_, index) => seed(index))).size).toBe(100);
});

function nested(levels: number): unknown {
  return JSON.parse("[".repeat(levels) + "]".repeat(levels));
}

test.each([
  ["streams", { stream: true }, "unsupported_parameter", "stream", /leave it out/],
  ["has a field that is wrong", { temperature: 9 }, "invalid_request", "temperature", /temperature/],
  ["is nested without end", { user: nested(1_000) }, "invalid_request", expect.any(String), /nested deeper/],
  ["asks for more than the model gives", { max_tokens: 513 }, "invalid_request", "max_tokens", /512/],
])("a body that %s ends its line", (_, changes, code, param, message) => {
  const { kind, line: refused } = line({ ...body, ...changes });
  expect(kind).toBe("refused");
  const error = { code, param, message: expect.stringMatching(message) };
  expect(refused).toEqual({ index: 3, customId: "mine", copies: 2, error });
});

test("a response is told of by its own fields, and what it says again of its request goes with the job", () => {
  const endpoint = "/v1/responses" as const;
  const answer = (asked: object) => {
    const given = {
      custom_id: "mine",
      method: "POST",
      url: endpoint,
      body: { model: "tiny", input: "Hi", ...asked },
    };
    const input = { index: 0, offset: 0, bytes: 1, text: JSON.stringify(given) };
    return toLineRequest({ ...batch, endpoint }, input, 0, model, 5_000);
  };
  const { line: fed } = answer({ instructions: "Be short." });
  expect((fed as FedLine).job.echoed).toMatchObject({ instructions: "Be short." });
  const { line: refused } = answer({ max_output_tokens: 513 });
  expect((refused as UnfedLine).error).toMatchObject({
    param: "max_output_tokens",
    message: expect.stringMatching(/^max_output_tokens is 513/),
  });
});

test("a line that is not what was validated ends as well", () => {
  for (const text of [null, "{", '{"custom_id":"a"}']) {
    const input = { index: 1, offset: 0, bytes: 1, text };
    const { kind, line: refused } = toLineRequest(batch, input, 0, model, 5_000);
    expect(kind).toBe("refused");
    expect((refused as UnfedLine).error.code).toBe("invalid_request");
  }
});

test("without a description of the model the attempt judges", () => {
  const input = {
    ...{ index: 0, offset: 0, bytes: 1 },
    text: JSON.stringify({
      custom_id: "a",
      method: "POST",
      url: "/v1",
      body: { ...body, max_tokens: 9_999 },
    }),
  };
  expect(toLineRequest(batch, input, 0, { ...model, description: null }, 5_000).kind).toBe("job");
});
