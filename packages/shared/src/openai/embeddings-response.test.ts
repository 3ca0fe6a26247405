import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import OpenAI from "openai";
import type { CreateEmbeddingResponse } from "openai/resources/embeddings";
import { expect, onTestFinished, test } from "vitest";
import { parseEmbeddingsRequest } from "./embeddings-request.ts";
import { toEmbeddingsResponse } from "./embeddings-response.ts";

/** Exact in 32 bits, so that both encodings give the same numbers. */
const numbers = [
  [1, -2],
  [0, 2 ** -20],
];
const vectors = [
  Buffer.from([0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0]).toString("base64"),
  Buffer.from([0, 0, 0, 0, 0, 0, 0x80, 0x35]).toString("base64"),
];
const usage = { promptTokens: 7, completionTokens: 0, reasoningTokens: 0, cachedTokens: 0 };

test("floats, one vector for each input", () => {
  expect(toEmbeddingsResponse({ model: "m", result: { vectors, encoding: "float" }, usage })).toEqual({
    object: "list",
    data: [
      { object: "embedding", index: 0, embedding: numbers[0] },
      { object: "embedding", index: 1, embedding: numbers[1] },
    ],
    model: "m",
    usage: { prompt_tokens: 7, total_tokens: 7 },
  });
});

test("base64 is passed on as it is", () => {
  const { data } = toEmbeddingsResponse({ model: "m", result: { vectors, encoding: "base64" }, usage });
  expect(data.map(({ embedding }) => embedding)).toEqual(vectors);
});

test.each([undefined, "float" as const])(
  "OpenAI's client reads it (asked for: %s)",
  async (encoding_format) => {
    const asked: string[] = [];
    const server = createServer(async (request, response) => {
      const sent = JSON.parse(Buffer.concat(await request.toArray()).toString());
      const { encoding } = parseEmbeddingsRequest(sent).embedding;
      asked.push(encoding);
      response.setHeader("content-type", "application/json");
      response.end(
        JSON.stringify(toEmbeddingsResponse({ model: "m", result: { vectors, encoding }, usage })),
      );
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    });
    const { port } = server.address() as AddressInfo;
    const client = new OpenAI({ baseURL: `http://127.0.0.1:${port}/v1`, apiKey: "unused", maxRetries: 0 });
    const read: CreateEmbeddingResponse = await client.embeddings.create({
      model: "m",
      input: ["a", "b"],
      ...(encoding_format === undefined ? {} : { encoding_format }),
    });
    expect(read.data.map(({ embedding }) => [...embedding])).toEqual(numbers);
    // Without a word the client asks for base64 and decodes it itself.
    expect(asked).toEqual([encoding_format ?? "base64"]);
  },
);
