import type { BatchFault, BatchFaultCode } from "@quern/shared/contract/batch";
import { type InputLine, parseBatchLine } from "@quern/shared/contract/batch-line";
import type { Endpoint } from "@quern/shared/contract/job";
import type { ModelDescription } from "@quern/shared/contract/worker";
import type { FileLine } from "@quern/shared/files/read-lines";
import { DigestTable } from "./digest-table.ts";
import { LineCopies } from "./line-copies.ts";
import { type ModelChoice, resolveModel } from "./model-choice.ts";

/** So many are named; who has corrected them finds the next ones. */
const MAX_FAULTS = 100;
/** Of what the caller wrote, so much is said back. */
const MAX_QUOTED = 100;
/** Characters of a model's name. No model has a longer one, and the name stands in the batch's record. */
const MAX_AWAITED = 200;

export interface InputRules {
  endpoint: Endpoint;
  /** Those that lines can be queued for. */
  models: readonly ModelDescription[];
  maxLines: number;
  maxLineBytes: number;
  /** Whether to look for identical lines. */
  dedupe: boolean;
}

export type CheckedInput =
  | { kind: "faulty"; faults: BatchFault[] }
  /** No worker ever served the model `name`, and nothing else is wrong. */
  | { kind: "model_unknown"; name: string; faults: BatchFault[] }
  /** `model`: its own name. `leaders`: `line-copies.ts`. */
  | { kind: "sound"; model: string; total: number; leaders: Int32Array | null };

/** Looks at the lines of a batch's input, one after another, and keeps a few bytes of each. */
export class InputCheck {
  readonly #rules: InputRules;
  readonly #customIds = new DigestTable();
  readonly #copies: LineCopies | null;
  readonly #faults: BatchFault[] = [];
  #model: ModelChoice | null = null;
  #total = 0;

  constructor(rules: InputRules) {
    this.#rules = rules;
    this.#copies = rules.dedupe ? new LineCopies(rules.endpoint) : null;
  }

  /** @returns whether there is any use in further lines. */
  add(fileLine: FileLine): "more" | "enough" {
    const { maxLines } = this.#rules;
    this.#total += 1;
    if (this.#total > maxLines) {
      const cure = "split it into several batches, or raise QUERN_BATCH_MAX_LINES";
      this.#fault("too_many_tasks", `The file has more than ${maxLines} requests: ${cure}.`, null);
      return "enough";
    }
    this.#check(fileLine);
    return this.#faults.length > MAX_FAULTS ? "enough" : "more";
  }

  /** After the last line. */
  end(): CheckedInput {
    if (this.#total === 0) {
      this.#fault("empty_file", "The file has no requests: write one on each line, as JSON.", null);
    }
    const more = this.#faults[MAX_FAULTS];
    if (more !== undefined) {
      const message = `There are more faults than these ${MAX_FAULTS}: correct them, and submit the file again.`;
      return {
        kind: "faulty",
        faults: [...this.#faults.slice(0, MAX_FAULTS), { ...more, ...NOWHERE, message }],
      };
    }
    const [name = ""] = this.#model?.names ?? [];
    if (this.#model?.kind === "unknown" && this.#faults.length === 1 && name.length <= MAX_AWAITED) {
      return { kind: "model_unknown", name, faults: this.#faults };
    }
    if (this.#faults.length > 0 || this.#model?.kind !== "found") {
      return { kind: "faulty", faults: this.#faults };
    }
    const leaders = this.#copies?.leaders ?? null;
    return { kind: "sound", model: this.#model.model, total: this.#total, leaders };
  }

  #check(fileLine: FileLine): void {
    const { number } = fileLine;
    if ("tooLong" in fileLine) {
      const { maxLineBytes } = this.#rules;
      const cure = "shorten the request, or raise QUERN_BATCH_MAX_LINE_BYTES";
      const message = `The line has ${fileLine.bytes} bytes; at most ${maxLineBytes} are taken: ${cure}.`;
      this.#fault("line_too_long", message, number);
    } else if ("notUtf8" in fileLine) {
      this.#fault("invalid_json_line", "The line is not UTF-8: save the file in that encoding.", number);
    } else {
      const read = parseBatchLine(fileLine.line);
      if ("line" in read) this.#checkRequest(read.line, number);
      else this.#fault(read.fault.code, read.fault.message, number, read.fault.param);
    }
  }

  #checkRequest({ custom_id, url, body }: InputLine, number: number): void {
    const { endpoint } = this.#rules;
    const first = this.#customIds.see(custom_id, number);
    if (first !== null) {
      const message = `The \`custom_id\` is that of line ${first}: give each line its own.`;
      this.#fault("duplicate_custom_id", message, number, "custom_id");
    }
    if (url !== endpoint) {
      const message = `The \`url\` is ${quoted(url)}, the batch's endpoint ${endpoint}: make them the same, or make two batches.`;
      this.#fault("url_mismatch", message, number, "url");
    }
    this.#checkModel(body.model, number);
    this.#copies?.add(body);
  }

  #checkModel(name: unknown, number: number): void {
    const { models, endpoint } = this.#rules;
    if (typeof name !== "string" || name === "") {
      const message = "`body.model` is missing: name the model that is asked, the same on each line.";
      this.#fault("invalid_request_line", message, number, "body.model");
    } else if (this.#model === null) {
      this.#model = resolveModel(name, endpoint, models);
      if (this.#model.kind !== "found") {
        this.#fault("model_not_found", this.#model.message, number, "body.model");
      }
    } else if (this.#model.kind !== "unknown" && !this.#model.names.includes(name)) {
      // The other names of an unknown model are not known either.
      const [before = ""] = this.#model.names;
      const message = `The model is ${quoted(name)}, that of the lines before ${quoted(before)}: a batch asks one model; make one batch for each.`;
      this.#fault("model_mismatch", message, number, "body.model");
    }
  }

  #fault(code: BatchFaultCode, message: string, line: number | null, param: string | null = null): void {
    this.#faults.push({ code, message, param, line });
  }
}

const NOWHERE = { line: null, param: null };

function quoted(text: string): string {
  return `'${text.length > MAX_QUOTED ? `${text.slice(0, MAX_QUOTED)}…` : text}'`;
}
