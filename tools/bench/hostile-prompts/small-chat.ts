import { readSse } from "@quern/testing/jobs-api";

/** Longest time that a small chat is waited for. */
export const CHAT_TIMEOUT_MS = 60_000;

/** What one measured chat came to. */
export type ChatSample =
  | { outcome: "answered"; ttftMs: number }
  | { outcome: "timed out" }
  /** `code`: of the error body or the error event, or what became of the connection. */
  | { outcome: "failed"; code: string };

const QUESTION = [{ role: "user", content: "What is the capital of France?" }];
const MAX_TOKENS = 4;

interface ChatChunk {
  choices?: { delta: { content?: string; reasoning_content?: string } }[];
  error?: { code?: string };
}

/** Streams a small chat to its end. @throws when `stop` is aborted. */
export async function sendSmallChat(
  url: string,
  model: string,
  stop: AbortSignal,
  timeoutMs = CHAT_TIMEOUT_MS,
): Promise<ChatSample> {
  const timeout = AbortSignal.timeout(timeoutMs);
  const beganMs = performance.now();
  let ttftMs: number | null = null;
  try {
    const reply = await fetch(`${url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        model,
        messages: QUESTION,
        max_tokens: MAX_TOKENS,
        stream: true,
        enable_thinking: false,
      }),
      signal: AbortSignal.any([stop, timeout]),
    });
    if (!reply.ok) return failed((await reply.json()) as ChatChunk);
    for await (const { data } of readSse(reply)) {
      if (data === "[DONE]") break;
      const chunk = JSON.parse(data) as ChatChunk;
      if (chunk.error !== undefined) return failed(chunk);
      if (hasText(chunk)) ttftMs ??= performance.now() - beganMs;
    }
  } catch (error) {
    stop.throwIfAborted();
    if (!timeout.aborted) return { outcome: "failed", code: connectionCode(error) };
  }
  // A first token counts even where the time is up before the last one.
  if (ttftMs !== null) return { outcome: "answered", ttftMs };
  return timeout.aborted ? { outcome: "timed out" } : { outcome: "failed", code: "no token" };
}

/** A stream opens with a chunk that names the role, before there is a token. */
function hasText({ choices }: ChatChunk): boolean {
  const delta = choices?.[0]?.delta;
  return (delta?.content ?? "") !== "" || (delta?.reasoning_content ?? "") !== "";
}

function failed({ error }: ChatChunk): ChatSample {
  return { outcome: "failed", code: error?.code ?? "no code" };
}

/** fetch hides the reason in `cause`. */
function connectionCode(error: unknown): string {
  const { cause, name } = error as Error & { cause?: { code?: string } };
  return cause?.code ?? name;
}
