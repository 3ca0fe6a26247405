import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import express, { type ErrorRequestHandler, type RequestHandler } from "express";
import { afterEach, expect, test } from "vitest";
import { fromBodyParserError, jsonBody } from "./json-body.ts";
import { LargeBodyTurns } from "./large-body-turns.ts";

const MAX_BYTES = 400_000;
let server: Server | null = null;
afterEach(async () => {
  server?.closeAllConnections();
  server?.close();
  if (server !== null) await once(server, "close");
  server = null;
});

/** Answers with what it has read of a body, or with the code of the error. */
async function serve(turns = new LargeBodyTurns()): Promise<string> {
  const app = express();
  const answer: RequestHandler = (request, response) => void response.json({ read: request.body });
  app.post("/", ...jsonBody(MAX_BYTES, turns), answer);
  const onError: ErrorRequestHandler = (error, _request, response, _next) => {
    response.status(400).json({ code: (fromBodyParserError(error) ?? error).code });
  };
  app.use(onError);
  server = createServer(app).listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

async function post(
  url: string,
  body: string | Buffer | ReadableStream,
  headers: Record<string, string> = {},
): Promise<unknown> {
  const init = { method: "POST", body, headers: { "content-type": "application/json", ...headers } };
  // A stream as a body is sent in chunks, without a length.
  const response = await fetch(url, { ...init, duplex: "half" } as RequestInit);
  return response.json();
}
const text = "é".repeat(50_000);

test("small and large bodies, with a length or in chunks, are read alike", async () => {
  const url = await serve();
  expect(await post(url, '{"a":1}')).toEqual({ read: { a: 1 } });
  expect(await post(url, JSON.stringify({ text }))).toEqual({ read: { text } });
  expect(await post(url, new Blob([JSON.stringify({ text })]).stream())).toEqual({ read: { text } });
  expect(await post(url, `\uFEFF${JSON.stringify({ text })}`)).toEqual({ read: { text } });
  expect(await post(url, JSON.stringify(text))).toEqual({ read: text });
});

test("a large body in another charset is read as it says", async () => {
  const body = Buffer.from(JSON.stringify({ text: "é".repeat(40_000) }), "utf16le");
  const read = await post(await serve(), body, { "content-type": "application/json; charset=utf-16le" });
  expect(read).toEqual({ read: { text: "é".repeat(40_000) } });
});

test("what is no JSON, or too large, has its own code, however large it is", async () => {
  const url = await serve();
  expect(await post(url, "{")).toEqual({ code: "invalid_json" });
  expect(await post(url, `{"text":"${text}`)).toEqual({ code: "invalid_json" });
  expect(await post(url, "x".repeat(MAX_BYTES + 1))).toEqual({ code: "body_too_large" });
  expect(await post(url, new Blob(["x".repeat(MAX_BYTES + 1)]).stream())).toEqual({ code: "body_too_large" });
});

test("large bodies give back the memory that they reserved, also when they fail", async () => {
  const url = await serve(new LargeBodyTurns({ maxHeldBytes: MAX_BYTES }));
  for (let round = 0; round < 5; round++) {
    expect(await post(url, `{"text":"${text}`)).toEqual({ code: "invalid_json" });
    expect(await post(url, new Blob([JSON.stringify({ text })]).stream())).toEqual({ read: { text } });
    expect(await post(url, "x".repeat(MAX_BYTES + 1))).toEqual({ code: "body_too_large" });
  }
});
