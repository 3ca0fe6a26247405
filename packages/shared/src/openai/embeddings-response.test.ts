import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import OpenAI from "openai";
import type { CreateEmbeddingResponse } from "openai/resources/embeddings";
import { expect, onTestFinished, test } from "vitest";
import { parseEmbeddingsRequest } from "./embeddings-request.ts";
import { toEmbeddingsResponse } from "./embeddings-response.ts";

/** Exact in 32 bits, so that both encodings give the same numbers. */
const vectors = [
  [0.5, -0.25, 1],
  [0, 2 ** -20, -1],
];
const embedded = { model: "m", vectors, promptTokens: 7 };

test("floats, one vector for each input", () => {
  expect(toEmbeddingsResponse({ ...embedded, encoding: "float" })).toEqual({
    object: "list",
    data: [
      { object: "embedding", index: 0, embedding: vectors[0] },
      { object: "embedding", index: 1, embedding: vectors[1] },
    ],
    model: "m",
    usage: { prompt_tokens: 7, total_tokens: 7 },
  });
});

test("base64 is of 32-bit floats, the low byte first", () => {
  const { data } = toEmbeddingsResponse({ ...embedded, vectors: [[1, -2]], encoding: "base64" });
  expect(data[0]?.embedding).toBe(Buffer.from([0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0]).toString("base64"));
});

test.each([undefined, "float" as const])(
  "OpenAI's client reads it (asked for: %s)",
  async (encoding_format) => {
    const asked: string[] = [];
    const server = createServer(async (request, response) => {
      const { encoding } = parseEmbeddingsRequest(
        JSON.parse(Buffer.concat(await request.toArray()).toString()),
      );
      asked.push(encoding);
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify(toEmbeddingsResponse({ ...embedded, encoding })));
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
    expect(read.data.map(({ embedding }) => [...embedding])).toEqual(vectors);
    // Without a word the client asks for base64 and decodes it itself.
    expect(asked).toEqual([encoding_format ?? "base64"]);
  },
);
