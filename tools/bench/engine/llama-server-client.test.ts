import { expect, test } from "vitest";
import { serverSentEvents } from "./llama-server-client.ts";

/** What llama-server 0.5.0 sent, but for the settings in its last event. The second event brings two tokens. */
const RECORDED = `data: {"index":0,"content":".","tokens":[46],"stop":false,"id_slot":-1,"tokens_predicted":1,"tokens_evaluated":4}

data: {"index":0,"content":"é","tokens":[169],"stop":false,"id_slot":-1,"tokens_predicted":3,"tokens_evaluated":4}

data: {"index":0,"content":"","tokens":[],"id_slot":0,"stop":true,"tokens_predicted":3,"tokens_evaluated":4,"timings":{"cache_n":0,"prompt_n":4,"prompt_ms":0.492,"predicted_n":3,"predicted_ms":0.31}}

`;

async function* cut(text: string, everyCharacters: number): AsyncGenerator<string> {
  for (let at = 0; at < text.length; at += everyCharacters) yield text.slice(at, at + everyCharacters);
}

test.each([1, 7, 100, 10_000])("a stream is read however it is cut: every %i characters", async (every) => {
  const events = await Array.fromAsync(serverSentEvents(cut(RECORDED, every)));
  expect(events.map(({ tokens_predicted }) => tokens_predicted)).toEqual([1, 3, 3]);
  expect(events.at(-1)?.timings).toMatchObject({ cache_n: 0, predicted_n: 3, predicted_ms: 0.31 });
});

test("a refusal in place of a stream is an event too", async () => {
  const refusal = `{"error":{"code":400,"message":"request (500 tokens) exceeds the available context size"}}`;
  for (const every of [5, 10_000]) {
    const events = await Array.fromAsync(serverSentEvents(cut(refusal, every)));
    expect(events.map(({ error }) => error?.message)).toEqual([
      "request (500 tokens) exceeds the available context size",
    ]);
  }
});
