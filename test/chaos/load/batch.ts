import { setTimeout as sleep } from "node:timers/promises";
import { CHAOS_MODEL, type Expected, expectedAnswer, type Script, wordAt } from "../script.ts";
import { type Client, GivenUp, jsonBody, tryOnce } from "./client.ts";

/** A line of a batch, and what it must come to; null: an error of its own. */
export interface AskedLine {
  customId: string;
  body: Record<string, unknown>;
  expected: Expected | null;
}

interface BatchFigures {
  id: string;
  status: string;
  output_file_id: string | null;
  error_file_id: string | null;
  request_counts: { total: number; completed: number; failed: number };
  usage: { input_tokens: number; output_tokens: number; output_tokens_details: { reasoning_tokens: number } };
}

/** A batch as it ended, and what its files hold, a line each. */
export interface EndedBatch {
  asked: AskedLine[];
  figures: BatchFigures;
  output: string[];
  errors: string[];
}

const TALK = "Say all that you know, and say it in order.";
const TOKENS = { least: 5, most: 250 };
const OWN_ERRORS_PERCENT = 2;
const LOOK_INTERVAL_MS = 500;
const OVER = new Set(["completed", "failed", "expired", "cancelled"]);

/** Hands a batch in, watches it to its end and fetches its files, through whatever gateway lives. null: the run gave up. */
export async function runBatch(client: Client, script: Script, lines: number): Promise<EndedBatch | null> {
  try {
    const asked = Array.from({ length: lines }, (_, at) => drawLine(client, script, at));
    const inputFileId = await upload(client, asked);
    const batchId = await create(client, inputFileId);
    client.ledger.note("batch accepted", { batch: batchId, lines });
    const figures = await watch(client, batchId);
    client.ledger.note("batch ended", { batch: figures });
    const fetched = async (fileId: string | null) => (fileId === null ? [] : download(client, fileId));
    const output = await fetched(figures.output_file_id);
    return { asked, figures, output, errors: await fetched(figures.error_file_id) };
  } catch (error) {
    if (error instanceof GivenUp) return null;
    throw error;
  }
}

function drawLine({ random }: Client, script: Script, at: number): AskedLine {
  const customId = `line ${at}`;
  const messages = [{ role: "user", content: TALK }];
  if (random.chance(OWN_ERRORS_PERCENT)) {
    return { customId, body: { model: CHAOS_MODEL, messages, max_tokens: -1 }, expected: null };
  }
  const maxTokens = random.between(TOKENS.least, TOKENS.most);
  const stop = random.chance(20) ? wordAt(random.between(1, 200)) : null;
  return {
    customId,
    body: { model: CHAOS_MODEL, messages, max_tokens: maxTokens, ...(stop === null ? {} : { stop }) },
    expected: expectedAnswer(script, { maxTokens, stop }),
  };
}

/** An upload without a reply promised nothing: the next one is another file. */
async function upload(client: Client, asked: AskedLine[]): Promise<string> {
  const text = asked
    .map(({ customId, body }) =>
      JSON.stringify({ custom_id: customId, method: "POST", url: "/v1/chat/completions", body }),
    )
    .join("\n");
  return ask(client, "/v1/files", () => {
    const form = new FormData();
    form.set("purpose", "batch");
    form.set("file", new Blob([text], { type: "application/jsonl" }), "lines.jsonl");
    return { method: "POST", body: form };
  });
}

/** Under one key, however often it has to be asked. */
async function create(client: Client, inputFileId: string): Promise<string> {
  const body = {
    input_file_id: inputFileId,
    endpoint: "/v1/chat/completions",
    completion_window: "24h",
  };
  return ask(client, "/v1/batches", () => {
    const init = jsonBody(body);
    return { ...init, headers: { ...init.headers, "idempotency-key": inputFileId } };
  });
}

/** Until a gateway has said yes. Returns the id of what it made. */
async function ask(client: Client, path: string, init: () => RequestInit): Promise<string> {
  for (;;) {
    const reply = await tryOnce(client, path, init());
    const text = (await reply?.text().catch(() => null)) ?? null;
    if (reply === null || text === null) continue;
    if (reply.status === 200) return (JSON.parse(text) as { id: string }).id;
    // An earlier request under the same key is still being accepted.
    if (reply.status !== 409) client.violation("unexpected reply", { to: path, status: reply.status, text });
    await sleep(LOOK_INTERVAL_MS);
  }
}

/** Counts never fall, and what is over stays so. */
async function watch(client: Client, batchId: string): Promise<BatchFigures> {
  let before: BatchFigures | null = null;
  for (;;) {
    const reply = await tryOnce(client, `/v1/batches/${batchId}`);
    const text = (await reply?.text().catch(() => null)) ?? null;
    if (reply === null || text === null) continue;
    if (reply.status !== 200) {
      client.violation("unexpected reply", { to: "get batch", batch: batchId, status: reply.status, text });
      await sleep(LOOK_INTERVAL_MS);
      continue;
    }
    const now = JSON.parse(text) as BatchFigures;
    if (before !== null && fell(before, now)) client.violation("a batch's counts fell", { before, now });
    before = now;
    if (OVER.has(now.status)) return now;
    await sleep(LOOK_INTERVAL_MS);
  }
}

function fell({ request_counts: before }: BatchFigures, { request_counts: now }: BatchFigures): boolean {
  return now.completed < before.completed || now.failed < before.failed || now.total < before.total;
}

async function download(client: Client, fileId: string): Promise<string[]> {
  for (;;) {
    const reply = await tryOnce(client, `/v1/files/${fileId}/content`);
    // A gateway that dies half-way breaks the body off.
    const text = (await reply?.text().catch(() => null)) ?? null;
    if (reply === null || text === null) continue;
    if (reply.status === 200) return text.split("\n").filter((line) => line !== "");
    client.violation("unexpected reply", { to: "download", file: fileId, status: reply.status, text });
    await sleep(LOOK_INTERVAL_MS);
  }
}
