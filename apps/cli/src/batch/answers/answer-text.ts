import type { Endpoint } from "@quern/shared/contract/job";
import { z } from "zod";
import type { ResultLine } from "./result-line.ts";

const chatSchema = z.object({
  choices: z.tuple(
    [z.object({ message: z.object({ content: z.string().nullish(), tool_calls: z.unknown().optional() }) })],
    z.unknown(),
  ),
});
const completionSchema = z.object({ choices: z.tuple([z.object({ text: z.string() })], z.unknown()) });
const embeddingsSchema = z.object({
  data: z.tuple([z.object({ embedding: z.union([z.string(), z.array(z.number())]) })], z.unknown()),
});

const responseSchema = z.object({
  output: z.array(
    z.looseObject({
      type: z.string(),
      content: z.array(z.looseObject({ type: z.string(), text: z.string().optional() })).optional(),
    }),
  ),
});

/** What people read of an answer: its first choice's text, its tool calls or its vector as JSON. null: there is none. */
export function answerText(endpoint: Endpoint, { response }: ResultLine): string | null {
  switch (endpoint) {
    case "/v1/chat/completions": {
      const message = chatSchema.safeParse(response?.body).data?.choices[0].message;
      if (message === undefined) return null;
      if (typeof message.content === "string") return message.content;
      return message.tool_calls === undefined ? "" : JSON.stringify(message.tool_calls);
    }
    case "/v1/completions":
      return completionSchema.safeParse(response?.body).data?.choices[0].text ?? null;
    case "/v1/embeddings": {
      const parsed = embeddingsSchema.safeParse(response?.body);
      return parsed.success ? JSON.stringify(parsed.data.data[0].embedding) : null;
    }
    case "/v1/responses": {
      const items = responseSchema.safeParse(response?.body).data?.output;
      if (items === undefined) return null;
      const messages = items.filter(({ type }) => type === "message");
      if (messages.length > 0)
        return messages.flatMap(({ content = [] }) => content.map(({ text = "" }) => text)).join("");
      const calls = items.filter(({ type }) => type === "function_call");
      return calls.length === 0 ? "" : JSON.stringify(calls);
    }
  }
}
