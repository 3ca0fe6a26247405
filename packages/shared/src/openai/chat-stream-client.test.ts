import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import OpenAI from "openai";
import { expect, onTestFinished, test } from "vitest";
import type { DeltaEvent, TokenEvent } from "../contract/token-event.ts";
import { chatChunks } from "./chat-chunks.ts";
import { parseChatRequest } from "./chat-request.ts";

// Promise: the stream helpers of OpenAI's own client put together what a job said, also over a restart.

const usage = { promptTokens: 3, completionTokens: 9, reasoningTokens: 0, cachedTokens: 0 };
const start: TokenEvent = { type: "start", data: { attempt: 1 } };
const restart: TokenEvent = { type: "restart", data: { attempt: 2 } };
const delta = (data: DeltaEvent["data"]): TokenEvent => ({ type: "delta", data });
const ended = (reason: "stop" | "tool_calls"): TokenEvent => ({
  type: "end",
  data: { status: "completed", usage, finish_reason: reason },
});
const begun = (index: number, id: string): TokenEvent =>
  delta({ tool_calls: [{ index, id, type: "function", function: { name: "get_weather" } }] });
const written = (index: number, text: string): TokenEvent =>
  delta({ tool_calls: [{ index, function: { arguments: text } }] });
const tokenOf = (token: string) => ({ token, logprob: -0.5, bytes: [...Buffer.from(token)], top: [] });

const twoCalls = [
  start,
  delta({ reasoning: "Two cities." }),
  begun(0, "call_a"),
  written(0, '{"city"'),
  restart,
  delta({ reasoning: "Two cities." }),
  begun(0, "call_b"),
  written(0, '{"city": "Os'),
  written(0, 'lo"}'),
  begun(1, "call_c"),
  written(1, '{"city": "Rome"}'),
  ended("tool_calls"),
];

const parameters = { type: "object" as const, properties: { city: { type: "string" as const } } };
const weather = { type: "function" as const, function: { name: "get_weather", parameters } };
const ask = { model: "m", messages: [{ role: "user" as const, content: "Weather in Oslo and Rome?" }] };

/** A client of a server that answers each request with the chunks of the next job. */
async function clientOf(...jobs: TokenEvent[][]): Promise<{ client: OpenAI; bodies: string[] }> {
  const bodies: string[] = [];
  const server = createServer(async (request, response) => {
    bodies.push(Buffer.concat(await request.toArray()).toString());
    const chunks = chatChunks({
      jobId: "job_1",
      model: "m",
      class: "interactive",
      createdAtMs: 5_000,
      choices: 1,
      includeUsage: true,
    });
    const said = (jobs.shift() ?? []).flatMap((event) => chunks.next(event));
    response.setHeader("content-type", "text/event-stream");
    for (const chunk of said) response.write(`data: ${JSON.stringify(chunk)}\n\n`);
    response.end("data: [DONE]\n\n");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  });
  const { port } = server.address() as AddressInfo;
  const baseURL = `http://127.0.0.1:${port}/v1`;
  return { client: new OpenAI({ baseURL, apiKey: "unused", maxRetries: 0 }), bodies };
}

test("stream() adds up the arguments of every call, under the id it saw first", async () => {
  const { client } = await clientOf(twoCalls);
  const stream = client.chat.completions.stream({ ...ask, tools: [weather] });
  const pieces: string[] = [];
  stream.on("tool_calls.function.arguments.delta", ({ index, arguments_delta: piece }) => {
    pieces.push(`${index} ${piece}`);
  });
  const { choices, usage: counted } = await stream.finalChatCompletion();
  expect(choices[0]?.finish_reason).toBe("tool_calls");
  expect(choices[0]?.message.tool_calls).toMatchObject([
    { id: "call_a", type: "function", function: { name: "get_weather", arguments: '{"city": "Oslo"}' } },
    { id: "call_c", type: "function", function: { name: "get_weather", arguments: '{"city": "Rome"}' } },
  ]);
  expect(pieces).toEqual(["0 ", '0 {"city"', '0 : "Os', '0 lo"}', "1 ", '1 {"city": "Rome"}']);
  expect(counted?.total_tokens).toBe(12);
});

test("stream() keeps choices apart, with their ends and their log-probabilities", async () => {
  const { client } = await clientOf([
    start,
    delta({ text: "On", logprobs: [tokenOf("On")] }),
    delta({ choice: 1, text: "Two", logprobs: [tokenOf("Two")] }),
    restart,
    delta({ choice: 1, text: "Two", logprobs: [tokenOf("Two")], finish_reason: "length" }),
    delta({ text: "One", logprobs: [tokenOf("On"), tokenOf("e")] }),
    ended("stop"),
  ]);
  const { choices } = await client.chat.completions
    .stream({ ...ask, n: 2, logprobs: true })
    .finalChatCompletion();
  expect(
    choices.map(({ index, message, finish_reason, logprobs }) => ({
      said: `${index} ${message.content} ${finish_reason}`,
      tokens: logprobs?.content?.map(({ token }) => token),
    })),
  ).toEqual([
    { said: "0 One stop", tokens: ["On", "e"] },
    { said: "1 Two length", tokens: ["Two"] },
  ]);
});

test("runTools() calls the functions and goes on with what they gave", async () => {
  const { client, bodies } = await clientOf(twoCalls, [start, delta({ text: "Windy." }), ended("stop")]);
  const asked: unknown[] = [];
  const runner = client.chat.completions.runTools({
    ...ask,
    stream: true,
    tools: [
      {
        type: "function",
        function: {
          name: "get_weather",
          description: "The weather in a city",
          parameters,
          parse: JSON.parse,
          function: ({ city }: { city: string }) => {
            asked.push(city);
            return `windy in ${city}`;
          },
        },
      },
    ],
  });
  expect(await runner.finalContent()).toBe("Windy.");
  expect(asked).toEqual(["Oslo", "Rome"]);
  const { generation } = parseChatRequest(JSON.parse(bodies[1] ?? ""), { drawSeed: () => 1 });
  expect(generation.messages.slice(-3)).toMatchObject([
    { role: "assistant", tool_calls: [{ id: "call_a" }, { id: "call_c" }] },
    { role: "tool", tool_call_id: "call_a", content: "windy in Oslo" },
    { role: "tool", tool_call_id: "call_c", content: "windy in Rome" },
  ]);
});
