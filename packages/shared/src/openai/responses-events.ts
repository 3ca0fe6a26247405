import { QuernError } from "../contract/errors.ts";
import type { DeltaEvent, TokenEvent } from "../contract/token-event.ts";
import { type ResponseEnd, type ResponseHead, responseHead, toResponse } from "./responses-response.ts";
import { StreamedItems, type UnnumberedEvent } from "./responses-streamed-items.ts";
import { SentChoice } from "./sent-choice.ts";

/** An event of a response's stream. https://platform.openai.com/docs/api-reference/responses-streaming */
export interface ResponseEvent extends UnnumberedEvent {
  /** From 0, without a gap. */
  sequence_number: number;
}

/**
 * Translates a job's token events into the events of its response's stream:
 *
 *   response.created, response.queued, [response.in_progress, items]*, response.completed | incomplete | failed
 *
 * The events, their numbers among them, depend on nothing but the job and its token events, so that any gateway tells
 * them alike, and a reader can go on anywhere. What a new attempt says again is passed over as long as it is what was said
 * already. Where it is not, the items so far are closed, `response.in_progress` comes again, and the new attempt speaks in new
 * items: only those are in the response in the end (docs/decisions/0016-a-response-stream-never-diverges.md).
 */
export class ResponseEvents {
  readonly #head: ResponseHead;
  readonly #items: StreamedItems;
  #sent = new SentChoice();
  /** What the current attempt has said since it began anew; null: it did not. */
  #saidAnew: DeltaEvent["data"][] | null = null;
  #count = 0;

  constructor(head: ResponseHead) {
    this.#head = head;
    this.#items = new StreamedItems(head.id);
  }

  /** The number of the last event. */
  get lastNumber(): number {
    return this.#count - 1;
  }

  /** What every stream begins with, before anything is known of the job. */
  opening(): ResponseEvent[] {
    const response = responseHead(this.#head, "queued");
    return this.#numbered([
      { type: "response.created", response },
      { type: "response.queued", response },
    ]);
  }

  /** Of an event that is not the last. A job's `error` is told with its end. */
  next(event: Exclude<TokenEvent, { type: "end" }>): ResponseEvent[] {
    switch (event.type) {
      case "start":
        return this.#numbered([this.#inProgress()]);
      case "restart":
        this.#sent.restart();
        this.#saidAnew = [];
        return [];
      case "delta":
        this.#saidAnew?.push(event.data);
        return this.#numbered(this.#unlessDiverged(() => this.#said(event.data)));
      case "error":
        return [];
    }
  }

  /** @param end of the job's record, once its `end` was read. */
  end(end: ResponseEnd): ResponseEvent[] {
    const repeated = this.#unlessDiverged(() => {
      this.#sent.assertAllRepeated();
      return [];
    });
    const whole = toResponse({ ...this.#head, ...end });
    const closed = this.#items.close(whole.status === "completed" ? "completed" : "incomplete");
    const response = { ...whole, output: this.#items.output };
    return this.#numbered([...repeated, ...closed, { type: lastTypeOf(whole.status), response }]);
  }

  #said(data: DeltaEvent["data"]): UnnumberedEvent[] {
    const parts = this.#sent.next(data);
    // What is new stands behind all that was said, or it is another answer: closed items are not gone on with.
    if (this.#saidAnew !== null && parts.length > 0) this.#sent.assertAllRepeated();
    return parts.flatMap((part) => (part.kind === "end" ? [] : this.#items.add(part)));
  }

  #unlessDiverged(say: () => UnnumberedEvent[]): UnnumberedEvent[] {
    try {
      return say();
    } catch (error) {
      if (!(error instanceof QuernError) || error.code !== "stream_diverged") throw error;
    }
    const said = this.#saidAnew ?? [];
    this.#saidAnew = null;
    this.#sent = new SentChoice();
    const superseded = [...this.#items.supersede(), this.#inProgress()];
    return [...superseded, ...said.flatMap((data) => this.#said(data))];
  }

  #inProgress(): UnnumberedEvent {
    return { type: "response.in_progress", response: responseHead(this.#head, "in_progress") };
  }

  #numbered(events: readonly UnnumberedEvent[]): ResponseEvent[] {
    return events.map(({ type, ...fields }) => ({ type, sequence_number: this.#count++, ...fields }));
  }
}

/** OpenAI has no event for a response that was cancelled; its status says that it was. */
function lastTypeOf(status: string): string {
  return status === "completed" || status === "failed" ? `response.${status}` : "response.incomplete";
}
