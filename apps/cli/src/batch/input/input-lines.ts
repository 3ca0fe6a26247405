import { parseBatchLine } from "@quern/shared/contract/batch-line";
import { QuernError } from "@quern/shared/contract/errors";
import { ENDPOINTS, type Endpoint } from "@quern/shared/contract/job";
import { readTemplate } from "./prompt-template.ts";
import { type InputFormat, type Row, readRows, TEXT_COLUMN } from "./read-rows.ts";
import { type Asking, requestBody } from "./request-body.ts";

/** Where requests come from, and how rows become requests. */
export interface InputSource {
  path: string;
  format: InputFormat;
  /** null: of batch lines, the one they name; of rows, the chat's. */
  endpoint: Endpoint | null;
  /** Templates; null: the column `prompt`, or the line of a plain text. */
  prompt: string | null;
  system: string | null;
  /** Of rows; null: their number. */
  idColumn: string | null;
  /** `model` null: every line of the file has to name one. */
  asking: Omit<Asking, "model"> & { model: string | null };
}

/** One request of the batch. */
export interface InputLine {
  /** From 0, over all requests of the input. */
  index: number;
  where: string;
  customId: string;
  columns: Record<string, string>;
  endpoint: Endpoint;
  /** The line of the batch's input file, without its break. */
  request: string;
}

const DEFAULT_ENDPOINT: Endpoint = "/v1/chat/completions";

/**
 * The requests of an input, in its order; each reading of the same file gives the same.
 * @throws QuernError `invalid_request` naming the place of what is wrong, `config_invalid`.
 */
export async function* readInputLines(source: InputSource): AsyncGenerator<InputLine, void, undefined> {
  let read: ((row: Row) => Omit<InputLine, "index">) | null = null;
  let index = 0;
  for await (const row of readRows(source.path, source.format)) {
    read ??= isBatchLine(row) ? batchLineReader(source, row) : rowReader(source, row);
    yield { index, ...read(row) };
    index += 1;
  }
}

/** The first request's model, where the file names models itself; null: it does not, or has no line. */
export async function modelNamedIn({ path, format }: InputSource): Promise<string | null> {
  for await (const row of readRows(path, format)) {
    const { body } = isBatchLine(row) ? (row.json?.value ?? {}) : {};
    const { model } = (body ?? {}) as { model?: unknown };
    return typeof model === "string" ? model : null;
  }
  return null;
}

/** OpenAI's form of a request. */
function isBatchLine({ json }: Row): boolean {
  return json !== null && typeof json.value.custom_id === "string" && typeof json.value.body === "object";
}

function batchLineReader(source: InputSource, first: Row): (row: Row) => Omit<InputLine, "index"> {
  const { prompt, system, idColumn, asking, path } = source;
  const misplaced = Object.entries({
    "--prompt": prompt,
    "--system": system,
    "--id-column": idColumn,
    "--max-tokens": asking.maxTokens,
    "--temperature": asking.temperature,
    "--schema": asking.schema,
    "--no-thinking": asking.thinking,
  }).find(([, value]) => value !== null);
  if (misplaced !== undefined) {
    throw new QuernError(
      "config_invalid",
      `${path} holds whole requests, which say for themselves what they ask: leave out ${misplaced[0]}`,
    );
  }
  const endpoint = source.endpoint ?? endpointNamed(String(first.json?.value.url), first.where);
  return (row) => {
    const text = row.json?.text ?? "";
    const parsed = parseBatchLine(text);
    if ("fault" in parsed) throw new QuernError("invalid_request", `${row.where}: ${parsed.fault.message}`);
    const { line } = parsed;
    if (line.url !== endpoint) {
      throw new QuernError(
        "invalid_request",
        `${row.where} asks ${line.url}, the batch ${endpoint}: a batch has one endpoint`,
      );
    }
    const named = line.body.model !== undefined || asking.model === null;
    const request = named ? text : JSON.stringify({ ...line, body: { ...line.body, model: asking.model } });
    return {
      where: row.where,
      customId: line.custom_id,
      columns: { custom_id: line.custom_id },
      endpoint,
      request,
    };
  };
}

function endpointNamed(url: string, where: string): Endpoint {
  const endpoint = ENDPOINTS.find((known) => known === url);
  if (endpoint !== undefined) return endpoint;
  throw new QuernError(
    "invalid_request",
    `${where} has no url of a batch; it may be ${ENDPOINTS.join(", ")}`,
  );
}

function rowReader(source: InputSource, first: Row): (row: Row) => Omit<InputLine, "index"> {
  const { idColumn, asking } = source;
  const { model } = asking;
  if (model === null) throw new QuernError("config_invalid", "say with --model which model is asked");
  const endpoint = source.endpoint ?? DEFAULT_ENDPOINT;
  const prompt = readTemplate(source.prompt ?? defaultTemplate(first));
  const system = source.system === null ? null : readTemplate(source.system);
  return (row) => {
    const { where, columns } = row;
    const customId = idColumn === null ? String(row.number) : (columns[idColumn] ?? "");
    if (customId === "")
      throw new QuernError("invalid_request", `${where} has no '${idColumn}' to be known by`);
    const asked = { prompt: prompt(row), system: system?.(row) ?? null };
    const body = requestBody(endpoint, asked, { ...asking, model });
    const request = JSON.stringify({ custom_id: customId, method: "POST", url: endpoint, body });
    return { where, customId, columns, endpoint, request };
  };
}

function defaultTemplate({ columns }: Row): string {
  for (const name of ["prompt", TEXT_COLUMN]) if (Object.hasOwn(columns, name)) return `{${name}}`;
  throw new QuernError(
    "config_invalid",
    `say with --prompt what to ask of each row, such as --prompt "Summarise: {${Object.keys(columns)[0]}}"; its columns are ${Object.keys(columns).join(", ")}`,
  );
}
