import type { Random } from "./random.ts";
import { CHAOS_MODEL, type Expected, expectedAnswer, type Script, TALK, wordAt } from "./script.ts";

/** A request whose answer is known before it is sent. */
export interface Ask {
  endpoint: "/v1/chat/completions" | "/v1/completions" | "/v1/embeddings";
  body: Record<string, unknown>;
  /** Of each choice; null for embeddings, whose vector is compared with the first one that was ever given. */
  expected: Expected | null;
  choices: number;
}

const TOOLS = [
  {
    type: "function",
    function: { name: "note", parameters: { type: "object", properties: { text: { type: "string" } } } },
  },
];
/** Past the thought, so that a stream has both parts; some end in its middle. */
const TOKENS = { least: 20, most: 1_500 };

/** Draws a request: mostly chats of any length; some with a stop string, two choices or a tool call; some texts and vectors. */
export function drawAsk(random: Random, script: Script): Ask {
  const kind = random.below(100);
  if (kind < 4)
    return {
      endpoint: "/v1/embeddings",
      body: { model: CHAOS_MODEL, input: TALK },
      expected: null,
      choices: 1,
    };
  const maxTokens = random.between(TOKENS.least, TOKENS.most);
  if (kind < 12) return completion(script, maxTokens);
  if (kind < 16) return chat(script, { maxTokens: script.pieces.length + 10, stop: null, tools: true });
  if (kind < 30) return chat(script, { maxTokens, stop: wordAt(random.between(1, 900)) });
  return chat(script, { maxTokens, stop: null, choices: kind < 36 ? 2 : 1 });
}

function chat(
  script: Script,
  {
    maxTokens,
    stop,
    tools = false,
    choices = 1,
  }: { maxTokens: number; stop: string | null; tools?: boolean; choices?: number },
): Ask {
  return {
    endpoint: "/v1/chat/completions",
    body: {
      model: CHAOS_MODEL,
      messages: [{ role: "user", content: TALK }],
      max_tokens: maxTokens,
      ...(stop === null ? {} : { stop }),
      ...(tools ? { tools: TOOLS } : {}),
      ...(choices === 1 ? {} : { n: choices }),
    },
    expected: expectedAnswer(script, { maxTokens, stop }),
    choices,
  };
}

/** The script as it stands: nothing of it is a thought to `/v1/completions`. */
function completion({ pieces }: Script, maxTokens: number): Ask {
  return {
    endpoint: "/v1/completions",
    body: { model: CHAOS_MODEL, prompt: TALK, max_tokens: maxTokens },
    expected: {
      text: pieces.slice(0, maxTokens).join(""),
      reasoning: "",
      calls: [],
      finishReason: "length",
      completionTokens: maxTokens,
    },
    choices: 1,
  };
}
