import { parseChatRequest } from "@quern/shared/openai/chat-request";
import { parseEmbeddingsRequest } from "@quern/shared/openai/embeddings-request";
import { expect, test } from "vitest";
import { readyLines } from "./ready-lines.ts";

const URL = "http://127.0.0.1:8080";
const POST = /^ {2}curl (?:-N )?(\S+) -H 'content-type: application\/json' -d '(.*)'$/;

function requests(kind: "chat" | "embedding") {
  return readyLines(URL, { alias: "a-model", kind }).flatMap((line) => {
    const [, url = "", body = ""] = POST.exec(line) ?? [];
    return url === "" ? [] : [{ url, body: JSON.parse(body) }];
  });
}

test("a chat model is asked, watched and queued for", () => {
  const [asked, watched, queued] = requests("chat");
  expect(asked?.url).toBe(`${URL}/v1/chat/completions`);
  for (const [body, stream] of [
    [asked?.body, false],
    [watched?.body, true],
    [queued?.body.body, false],
  ]) {
    expect(parseChatRequest(body, { drawSeed: () => 1 })).toMatchObject({ model: "a-model", stream });
  }
});

test("an embedding model is asked for vectors", () => {
  const [asked, queued, ...others] = requests("embedding");
  expect(others).toEqual([]);
  expect(asked?.url).toBe(`${URL}/v1/embeddings`);
  expect(queued?.body.endpoint).toBe("/v1/embeddings");
  for (const body of [asked?.body, queued?.body.body]) {
    expect(parseEmbeddingsRequest(body)).toMatchObject({ model: "a-model" });
  }
});
