import type { IncomingMessage } from "node:http";
import type { Readable } from "node:stream";
import { Busboy, type BusboyHeaders, type BusboyInstance } from "@fastify/busboy";
import { QuernError } from "@quern/shared/contract/errors";

/** Of a form there is little beside its file. */
const FORM_LIMITS = { fields: 20, fieldSize: 1_024, fieldNameSize: 100, parts: 22, headerPairs: 20 };

export interface ReceivedForm {
  /** Each with its value; `a[b]` stands as `{ a: { b } }`. */
  fields: Record<string, unknown>;
  filename: string;
  bytes: number;
}

/** Takes the content of the file as it arrives. */
type Keep = (content: Readable) => Promise<{ bytes: number }>;

/**
 * Reads a multipart form with one file part, `file`, whose content goes to `keep` and nowhere else. When anything is wrong with
 * the form, or `signal` aborts, the content breaks off with that reason, and `keep` has ended when this rejects.
 * @throws QuernError `invalid_request`, the reason of the abort, and what `keep` throws.
 */
export async function receiveForm(
  request: IncomingMessage,
  signal: AbortSignal,
  keep: Keep,
): Promise<ReceivedForm> {
  const parser = openParser(request);
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => {}); // told by the race, if it is still on
  const form = new FormParts(keep, failed.reject);
  const finished = new Promise<void>((resolve) => parser.once("finish", resolve));
  parser
    .on("field", (name, value, nameCut, valueCut) => form.field(name, value, nameCut || valueCut))
    .on("file", (name, content, filename) => form.openFile(name, content, filename))
    .on("partsLimit", () => failed.reject(malformed("the form has too many parts")))
    .on("fieldsLimit", () => failed.reject(malformed("the form has too many fields")))
    .on("error", (error) => failed.reject(unreadable(error)));
  const abort = () => failed.reject(signal.reason);
  if (signal.aborted) abort();
  else signal.addEventListener("abort", abort, { once: true });

  request.pipe(parser);
  try {
    await Promise.race([finished, failed.promise]);
    return await form.received();
  } catch (error) {
    await form.breakOff(error as Error);
    throw error;
  } finally {
    signal.removeEventListener("abort", abort);
    request.unpipe(parser);
    // What still comes is passed over: a caller that is busy sending would not see the answer.
    request.resume();
  }
}

/** What has come of a form so far. */
class FormParts {
  readonly #keep: Keep;
  readonly #fail: (reason: unknown) => void;
  /** Without a prototype: names come from outside. */
  readonly #fields: Record<string, unknown> = Object.create(null);
  #file: { filename: string; content: Readable; kept: Promise<{ bytes: number }> } | null = null;

  constructor(keep: Keep, fail: (reason: unknown) => void) {
    this.#keep = keep;
    this.#fail = fail;
  }

  field(name: string, value: string, cut: boolean): void {
    if (cut) this.#fail(malformed(`the field ${name} is too long`, name));
    else if (name === "file") this.#fail(malformed("the part 'file' has no filename", "file"));
    else this.#setField(name, value);
  }

  openFile(name: string, content: Readable, filename: string | undefined): void {
    let cutOff: Error | null = null;
    content.on("error", (error) => {
      cutOff = error;
    });
    if (name !== "file") {
      this.#fail(malformed(`send the file as the part 'file', not '${name}'`, name));
    } else if (this.#file !== null) {
      this.#fail(malformed("there are two files; send one", "file"));
    } else {
      const kept = this.#keep(content);
      kept.catch((error) => this.#fail(error === cutOff ? unreadable(error) : error));
      this.#file = { filename: shownName(filename), content, kept };
    }
  }

  async received(): Promise<ReceivedForm> {
    if (this.#file === null) throw malformed("the part 'file' is missing", "file");
    const { bytes } = await this.#file.kept;
    return { fields: { ...this.#fields }, filename: this.#file.filename, bytes };
  }

  async breakOff(reason: Error): Promise<void> {
    this.#file?.content.destroy(reason);
    await this.#file?.kept.catch(() => {});
  }

  /** As OpenAI's clients write objects into forms: `expires_after[seconds]`. */
  #setField(name: string, value: string): void {
    const [, outer, inner] = /^(\w+)\[(\w+)\]$/.exec(name) ?? [];
    if (outer === undefined || inner === undefined) {
      this.#fields[name] = value;
      return;
    }
    const known = this.#fields[outer];
    this.#fields[outer] = { ...(typeof known === "object" ? known : {}), [inner]: value };
  }
}

function openParser(request: IncomingMessage): BusboyInstance {
  const type = request.headers["content-type"];
  if (type === undefined || !/^multipart\/form-data\s*;/i.test(type)) {
    throw malformed(
      `a file is sent as a form: use 'content-type: multipart/form-data; boundary=…'${type === undefined ? "" : ` instead of '${type}'`}`,
    );
  }
  try {
    return new Busboy({ headers: request.headers as BusboyHeaders, limits: FORM_LIMITS });
  } catch (error) {
    throw unreadable(error);
  }
}

/** The last step of a path, without what can't be shown. */
function shownName(filename: string | undefined): string {
  const name = (filename ?? "").split(/[\\/]/).at(-1) ?? "";
  const shown = name.replaceAll(/\p{Cc}/gu, "").slice(0, 255);
  return shown === "" ? "upload" : shown;
}

function malformed(message: string, param?: string): QuernError {
  return new QuernError("invalid_request", message, param === undefined ? {} : { param });
}

function unreadable(error: unknown): QuernError {
  return malformed(`the form can't be read, or is not whole: ${(error as Error).message}`);
}
