import { readSse } from "@quern/testing/jobs-api";
import { quantile } from "../figures/statistics.ts";

/** When the chunks of one streamed chat arrived, from its request on. */
export interface ChatTimes {
  chunkAtMs: number[];
}

export interface ChatMetrics {
  ttftP50Ms: number | null;
  ttftP99Ms: number | null;
  gapP50Ms: number | null;
  gapP99Ms: number | null;
}

/** Streams short chats one after the other, as one user would have them. */
export async function runSmallChats(
  url: string,
  { model, chats, tokens }: { model: string; chats: number; tokens: number },
  stop: AbortSignal,
): Promise<ChatTimes[]> {
  const times: ChatTimes[] = [];
  for (let chat = 0; chat < chats; chat++) {
    stop.throwIfAborted();
    const beganMs = performance.now();
    const reply = await fetch(`${url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        model,
        messages: [{ role: "user", content: "What is the capital of France?" }],
        max_tokens: tokens,
        stream: true,
      }),
      signal: stop,
    });
    if (reply.status !== 200) throw new Error(`a chat got ${reply.status}: ${await reply.text()}`);
    const chunkAtMs: number[] = [];
    for await (const { data } of readSse(reply)) {
      if (hasText(data)) chunkAtMs.push(performance.now() - beganMs);
    }
    times.push({ chunkAtMs });
  }
  return times;
}

function hasText(data: string): boolean {
  if (data === "[DONE]") return false;
  const { choices } = JSON.parse(data) as {
    choices?: { delta: { content?: string; reasoning_content?: string } }[];
  };
  const delta = choices?.[0]?.delta;
  return Boolean(delta?.content || delta?.reasoning_content);
}

export function chatMetrics(times: readonly ChatTimes[]): ChatMetrics {
  const ttfts = times.flatMap(({ chunkAtMs }) => chunkAtMs.slice(0, 1));
  const gaps = times.flatMap(({ chunkAtMs }) =>
    chunkAtMs.slice(1).map((atMs, before) => atMs - (chunkAtMs[before] ?? 0)),
  );
  return {
    ttftP50Ms: quantile(ttfts, 0.5),
    ttftP99Ms: quantile(ttfts, 0.99),
    gapP50Ms: quantile(gaps, 0.5),
    gapP99Ms: quantile(gaps, 0.99),
  };
}
