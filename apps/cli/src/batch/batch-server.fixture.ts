import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";

/** What the double makes of one request: an answer's text, or an error of the request's own. */
export type Answering = (line: BatchLine) => { content: string } | { error: string };

export interface BatchLine {
  custom_id: string;
  url: string;
  body: { model?: string; messages?: { role: string; content: string }[]; [field: string]: unknown };
}

interface DoubleBatch {
  id: string;
  key: string;
  input_file_id: string;
  status: string;
  total: number;
  completed: number;
  failed: number;
  output_file_id: string | null;
  error_file_id: string | null;
  errors: { object: "list"; data: object[] } | null;
  body: Record<string, unknown>;
}

/**
 * The batch API of a gateway in memory, in the shapes of OpenAI's contract: for tests of who asks it. Batches end as soon as they are
 * not `held`.
 */
export class BatchServer implements AsyncDisposable {
  models = ["tiny-qwen3"];
  answer: Answering = ({ body }) => ({ content: `re: ${body.messages?.at(-1)?.content}` });
  /** While true, batches stay in progress when half of their requests are done. */
  held = false;
  /** The next download breaks off in its middle. */
  breaksDownload = false;
  /** What is wrong with the next batch's input. */
  faults: object[] = [];
  apiKey: string | null = null;
  readonly files = new Map<string, Buffer>();
  readonly batches: DoubleBatch[] = [];
  readonly requests: string[] = [];
  #server: Server | null = null;
  #port = 0;

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** On the port that it had before, if it had one. */
  async start(): Promise<this> {
    const server = createServer((request, response) => {
      void this.#answer(request, response).catch((error: Error) => {
        response.destroy(error);
      });
    });
    server.listen(this.#port, "127.0.0.1");
    await once(server, "listening");
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
    return this;
  }

  /** Breaks all connections, as a gateway that is killed does. */
  async stop(): Promise<void> {
    const server = this.#server;
    if (server === null) return;
    this.#server = null;
    server.close();
    server.closeAllConnections();
    await once(server, "close");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  linesOf(batch: DoubleBatch | undefined): BatchLine[] {
    return jsonLines(this.files.get(batch?.input_file_id ?? ""));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? "/", this.url);
    this.requests.push(`${request.method} ${pathname}`);
    const reply = (status: number, body: object) =>
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    if (this.apiKey !== null && request.headers.authorization !== `Bearer ${this.apiKey}`) {
      reply(401, { error: { message: "no such key", type: "x", param: null, code: "invalid_api_key" } });
      return;
    }
    const [, , kind, id = "", verb] = pathname.split("/");
    if (kind === "models") reply(200, { object: "list", data: this.models.map((model) => ({ id: model })) });
    else if (kind === "files" && request.method === "POST") reply(200, await this.#upload(request));
    else if (kind === "files" && this.files.has(id)) this.#file(id, verb, request, response);
    else if (kind === "batches" && id === "" && request.method === "POST") {
      reply(200, this.#show(await this.#create(request)));
    } else if (kind === "batches" && id === "") {
      reply(200, { object: "list", data: this.batches.map((one) => this.#show(one)), has_more: false });
    } else {
      const batch = this.batches.find((one) => one.id === id);
      if (batch === undefined) {
        reply(404, {
          error: { message: `there is no ${pathname}`, type: "x", param: null, code: "batch_not_found" },
        });
      } else if (verb === "events") await this.#events(batch, response);
      else if (verb === "cancel") {
        this.finish(batch, "cancelled");
        reply(200, this.#show(batch));
      } else reply(200, this.#show(batch));
    }
  }

  async #upload(request: IncomingMessage): Promise<object> {
    const headers = { "content-type": request.headers["content-type"] ?? "" };
    const body = Readable.toWeb(request) as ReadableStream<Uint8Array>;
    const form = await new Response(body, { headers }).formData();
    const file = form.get("file") as File;
    const id = `file-${this.files.size + 1}`;
    this.files.set(id, Buffer.from(await file.arrayBuffer()));
    return { id, object: "file", bytes: file.size, filename: file.name, purpose: form.get("purpose") };
  }

  #file(id: string, verb: string | undefined, request: IncomingMessage, response: ServerResponse): void {
    const content = this.files.get(id) ?? Buffer.alloc(0);
    if (verb !== "content") {
      response.writeHead(200).end(JSON.stringify({ id, object: "file", bytes: content.length }));
      return;
    }
    const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
    const part = content.subarray(start);
    response.writeHead(start > 0 ? 206 : 200, { "content-length": part.length });
    if (!this.breaksDownload) response.end(part);
    else {
      this.breaksDownload = false;
      response.write(part.subarray(0, Math.floor(part.length / 2)), () => response.destroy());
    }
  }

  async #create(request: IncomingMessage): Promise<DoubleBatch> {
    const key = String(request.headers["idempotency-key"]);
    const known = this.batches.find((batch) => batch.key === key);
    if (known !== undefined) return known;
    const body = (await new Response(Readable.toWeb(request) as ReadableStream).json()) as Record<
      string,
      unknown
    >;
    const batch: DoubleBatch = {
      id: `batch_${this.batches.length + 1}`,
      key,
      input_file_id: String(body.input_file_id),
      status: "in_progress",
      total: 0,
      completed: 0,
      failed: 0,
      output_file_id: null,
      error_file_id: null,
      errors: null,
      body,
    };
    batch.total = this.linesOf(batch).length;
    this.batches.push(batch);
    if (this.faults.length > 0) {
      batch.status = "failed";
      batch.errors = { object: "list", data: this.faults };
    } else if (this.held) batch.completed = Math.floor(batch.total / 2);
    else this.finish(batch);
    return batch;
  }

  /** Answers its requests; of one that is cancelled or has expired the first half. */
  finish(batch: DoubleBatch, status: "completed" | "cancelled" | "expired" = "completed"): void {
    if (batch.status !== "in_progress") return;
    const lines = this.linesOf(batch);
    const ended = status === "completed" ? lines.length : Math.floor(lines.length / 2);
    const results = lines.map((line, index) => {
      const result = index < ended ? this.answer(line) : { error: `batch_${status}` };
      return { isAnswer: "content" in result, text: JSON.stringify(resultLine(line, result)) };
    });
    const put = (wanted: boolean) => {
      const own = results.filter(({ isAnswer }) => isAnswer === wanted);
      if (own.length === 0) return null;
      const id = `file-${this.files.size + 1}`;
      this.files.set(id, Buffer.from(own.map(({ text }) => `${text}\n`).join("")));
      return id;
    };
    batch.output_file_id = put(true);
    batch.error_file_id = put(false);
    batch.completed = results.filter(({ isAnswer }) => isAnswer).length;
    batch.failed = results.length - batch.completed;
    batch.status = status;
  }

  async #events(batch: DoubleBatch, response: ServerResponse): Promise<void> {
    response.writeHead(200, { "content-type": "text/event-stream" });
    const send = (event: string, id: string) =>
      response.write(`event: ${event}\nid: ${id}\ndata: ${JSON.stringify(this.#show(batch))}\n\n`);
    send("progress", "0-0");
    while (batch.status === "in_progress" && !response.closed) {
      if (!this.held) this.finish(batch);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    send("end", "1-1");
    response.end();
  }

  #show(batch: DoubleBatch): object {
    const { total, completed, failed, key: _, body, status, ...rest } = batch;
    const isOver = status !== "in_progress";
    return {
      object: "batch",
      ...rest,
      status,
      endpoint: body.endpoint,
      model: "tiny-qwen3",
      completion_window: "24h",
      created_at: 1_700_000_000,
      expires_at: 1_700_086_400,
      completed_at: status === "completed" ? 1_700_000_012 : null,
      cancelled_at: status === "cancelled" ? 1_700_000_012 : null,
      expired_at: status === "expired" ? 1_700_000_012 : null,
      failed_at: status === "failed" ? 1_700_000_012 : null,
      paused_at: null,
      request_counts: { total, completed, failed },
      usage: {
        input_tokens: 10 * completed,
        input_tokens_details: { cached_tokens: 4 * completed },
        output_tokens: 2 * completed,
        output_tokens_details: { reasoning_tokens: 0 },
        total_tokens: 12 * completed,
      },
      progress: isOver
        ? null
        : {
            lines_per_second: 12.34,
            output_tokens_per_second: 456,
            estimated_end_at: { p50: Date.now() / 1_000 + 180, p90: Date.now() / 1_000 + 300 },
          },
    };
  }
}

function resultLine({ custom_id, url }: BatchLine, result: { content: string } | { error: string }): object {
  const id = `batch_req_${custom_id}`;
  if ("error" in result) {
    return { id, custom_id, response: null, error: { code: result.error, message: result.error } };
  }
  const message = { role: "assistant", content: result.content };
  const body =
    url === "/v1/completions"
      ? { object: "text_completion", choices: [{ index: 0, text: result.content }] }
      : { object: "chat.completion", choices: [{ index: 0, message, finish_reason: "stop" }] };
  return { id, custom_id, response: { status_code: 200, request_id: id, body }, error: null };
}

function jsonLines(content: Buffer | undefined): BatchLine[] {
  return (content?.toString("utf8") ?? "")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as BatchLine);
}
