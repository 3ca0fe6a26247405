import type { HostilePrompt } from "../command/options.ts";

/** A request that is within every limit of the gateway and costs far more than a small chat. */
export interface HostileRequest {
  /** For people. */
  title: string;
  /** How many of them are under way at any time. */
  atOnce: number;
  /** The whole body. */
  bodyOf: (model: string) => string;
}

/** Just below QUERN_MAX_BODY_BYTES, which is 10 MiB by default. */
const LARGEST_PROMPT_CHARACTERS = 9_900_000;
const MAX_TOKENS = 4;
const TOOLS = 300;

export const HOSTILE_REQUESTS: Record<HostilePrompt, HostileRequest> = {
  "20k-messages": {
    title: "20,000 empty messages",
    atOnce: 1,
    bodyOf: (model) => chatBody(model, emptyMessages(20_000)),
  },
  letters: {
    title: "9.9 MB of one letter",
    atOnce: 1,
    bodyOf: (model) => chatBody(model, userMessage("B".repeat(LARGEST_PROMPT_CHARACTERS))),
  },
  prose: {
    title: "9.9 MB of prose",
    atOnce: 1,
    bodyOf: (model) => chatBody(model, userMessage(proseOf(LARGEST_PROMPT_CHARACTERS))),
  },
  "four-letters": {
    title: "four times 9.9 MB of one letter",
    atOnce: 4,
    bodyOf: (model) => chatBody(model, userMessage("B".repeat(LARGEST_PROMPT_CHARACTERS))),
  },
  tools: {
    title: `${TOOLS} tools`,
    atOnce: 1,
    bodyOf: (model) =>
      chatBody(model, userMessage("Call one."), {
        tools: Array.from({ length: TOOLS }, (_, at) => toolOf(at)),
        tool_choice: "required",
      }),
  },
  schema: {
    title: "a JSON schema at its limits",
    atOnce: 1,
    bodyOf: (model) =>
      chatBody(model, userMessage("Fill it in."), {
        response_format: { type: "json_schema", json_schema: { name: "costly", schema: costlySchema() } },
      }),
  },
  "100k-messages": {
    title: "100,000 empty messages",
    atOnce: 1,
    bodyOf: (model) => chatBody(model, emptyMessages(100_000)),
  },
};

/**
 * 255 properties (256 are allowed) and two choices among 60, which unfold into 60 × 60 alternatives (4,000 are allowed),
 * each merged with all the properties.
 */
function costlySchema(): object {
  const names = Array.from({ length: 255 }, (_, at) => `p${at}`);
  const oneOf = (some: string[]) => ({ anyOf: some.map((name) => ({ required: [name] })) });
  return {
    allOf: [
      { type: "object", properties: Object.fromEntries(names.map((name) => [name, true])) },
      oneOf(names.slice(0, 60)),
      oneOf(names.slice(60, 120)),
    ],
  };
}

function toolOf(at: number): object {
  const properties = Object.fromEntries(
    Array.from({ length: 8 }, (_, number) => [
      `argument_${number}`,
      { type: "string", description: `Argument ${number} of tool ${at}.`, maxLength: 4 },
    ]),
  );
  const parameters = { type: "object", properties, required: Object.keys(properties) };
  return {
    type: "function",
    function: { name: `tool_${at}`, description: `Does what number ${at} does.`, parameters },
  };
}

/** The same sentences in the same order each time; their words vary as words do. */
function proseOf(characters: number): string {
  const words = "the queue keeps every job until a worker with a free slot takes it and answers".split(" ");
  let text = "";
  for (let sentence = 0; text.length < characters; sentence++) {
    const at = sentence % words.length;
    text += `Sentence ${sentence}: ${[...words.slice(at), ...words.slice(0, at)].join(" ")}. `;
  }
  return text.slice(0, characters);
}

const userMessage = (content: string) => [{ role: "user", content }];

const emptyMessages = (count: number) => Array.from({ length: count }, () => ({ role: "user", content: "" }));

function chatBody(model: string, messages: object[], more: object = {}): string {
  return JSON.stringify({ model, messages, max_tokens: MAX_TOKENS, ...more });
}
