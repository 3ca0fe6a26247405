import { readFileSync } from "node:fs";
import { join } from "node:path";

/** A job as `GET /v1/jobs/{id}` shows it; what the tests read of it. */
export interface Job {
  id: string;
  status: string;
  attempt: number;
  created_at: number;
  started_at: number | null;
  first_token_at: number | null;
  ended_at: number | null;
  queue_position: number | null;
  estimated_start_at: { p50: number; p90: number } | null;
  estimated_end_at: { p50: number; p90: number } | null;
  estimate_reason: string | null;
  usage: { prompt_tokens: number; completion_tokens: number; total_tokens: number } | null;
  response: { status_code: number; body: ChatCompletion } | null;
  error: { code: string; message: string } | null;
}

export interface ChatCompletion {
  choices: {
    message: {
      content: string | null;
      reasoning_content?: string;
      tool_calls?: { function: { name: string; arguments: string } }[];
    };
    finish_reason: string | null;
  }[];
  usage: { prompt_tokens: number; completion_tokens: number; total_tokens: number };
}

export interface SseEvent {
  event: string;
  id: string | null;
  data: string;
}

/** A question that `models/skills.jsonl` knows the answer of. */
export interface Probe {
  id: string;
  skill: string;
  messages: { role: string; content: string }[];
  tools?: object[];
  enable_thinking: boolean;
  expected: string;
  reasoning?: string;
}

export function readProbes(): Probe[] {
  const file = join(import.meta.dirname, "..", "..", "..", "models", "skills.jsonl");
  return readFileSync(file, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Probe);
}

export function chatBodyOf({ messages, tools, enable_thinking }: Probe, model = "tiny-qwen3"): object {
  return {
    model,
    messages,
    ...(tools === undefined ? {} : { tools }),
    chat_template_kwargs: { enable_thinking },
  };
}

/** The reply's JSON; throws with status and body when it is not the expected status. */
export async function callApi<Reply>(
  url: string,
  options: { method?: string; body?: unknown; status?: number } = {},
): Promise<Reply> {
  const { method = options.body === undefined ? "GET" : "POST", body, status = 200 } = options;
  const reply = await fetch(url, {
    method,
    ...(body === undefined
      ? {}
      : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
  });
  const text = await reply.text();
  if (reply.status !== status)
    throw new Error(`${method} ${url}: ${reply.status} instead of ${status}: ${text}`);
  return JSON.parse(text) as Reply;
}

export function submitJob(url: string, body: object, metadata: Record<string, string> = {}): Promise<Job> {
  const request = { endpoint: "/v1/chat/completions", body, metadata };
  return callApi<Job>(`${url}/v1/jobs`, { body: request, status: 202 });
}

/** Resolves when the job has ended. */
export async function endedJob(url: string, id: string): Promise<Job> {
  for (;;) {
    const job = await callApi<Job>(`${url}/v1/jobs/${id}?wait=30`);
    if (job.status !== "queued" && job.status !== "running") return job;
  }
}

/** The events of an SSE reply as they arrive; comments and `retry:` lines are passed over. */
export async function* readSse(reply: Response): AsyncGenerator<SseEvent, void, undefined> {
  if (reply.body === null) throw new Error("the reply has no body");
  let text = "";
  for await (const chunk of reply.body.pipeThrough(new TextDecoderStream())) {
    const blocks = (text + chunk).split("\n\n");
    text = blocks.pop() ?? "";
    for (const block of blocks) {
      const event = parseBlock(block);
      if (event !== null) yield event;
    }
  }
}

function parseBlock(block: string): SseEvent | null {
  const fields = new Map<string, string>();
  for (const line of block.split("\n")) {
    const match = /^(event|id|data): ?(.*)$/.exec(line);
    if (match?.[1] === undefined || match[2] === undefined) continue;
    const earlier = fields.get(match[1]);
    fields.set(match[1], earlier === undefined ? match[2] : `${earlier}\n${match[2]}`);
  }
  const data = fields.get("data");
  return data === undefined
    ? null
    : { event: fields.get("event") ?? "message", id: fields.get("id") ?? null, data };
}
