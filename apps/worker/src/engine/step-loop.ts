import type { LlamaContextSequence, Token } from "node-llama-cpp";
import type { GenerationEvent } from "./protocol.ts";
import {
  acceptToken,
  beginGeneration,
  type Generation,
  generated,
  type RunningGeneration,
  type Slot,
  tokensToPrefill,
} from "./slot.ts";

/** Between two chunks all running streams get a token and cancels are seen. */
const PREFILL_CHUNK_TOKENS = 64;
/** Deltas of a fast model are sent together; a slow one's leave with every step. */
const MIN_SEND_INTERVAL_MS = 25;

export interface StepLoopOptions {
  sequences: readonly LlamaContextSequence[];
  isEndOfGeneration: (token: Token) => boolean;
  /** Everything one step brought about, once a step. */
  report: (events: GenerationEvent[]) => void;
  /** Unix milliseconds with fractions. */
  nowMs: () => number;
}

/**
 * The engine's one loop. Each round, in this order:
 *
 *   1. cancelled generations leave their slots, and waiting ones enter: the lowest free slot first
 *   2. one chunk of one prompt is prefilled, the longest-waiting first
 *   3. one decode step over all slots that generate, in ascending order
 *   4. what came of it is reported
 *
 * Ascending, gapless slots matter: llama.cpp puts only consecutive ascending sequence ids into one micro-batch. All
 * slots step together because the library would otherwise start a batch before the slots that just finished theirs
 * have queued again. Decisions are synchronous; only prefill and decode are awaited.
 */
export class StepLoop {
  readonly #options: StepLoopOptions;
  readonly #slots: Slot[];
  readonly #waiting: Generation[] = [];
  #events: GenerationEvent[] = [];
  #wake = () => {};
  #closing = false;

  constructor(options: StepLoopOptions) {
    this.#options = options;
    this.#slots = options.sequences.map((sequence) => ({ sequence, running: null }));
  }

  submit(generation: Generation): void {
    this.#waiting.push(generation);
    this.#wake();
  }

  /** Ends it within a step, or within a chunk of its prompt. Unknown ids have ended already. */
  cancel(id: string): void {
    for (const generation of [...this.#waiting, ...this.#running().map((running) => running.generation)]) {
      if (generation.id === id) generation.cancelled = true;
    }
    this.#wake();
  }

  close(): void {
    this.#closing = true;
    this.#wake();
  }

  /** Until `close`; generations that have not ended by then are dropped without a report. */
  async run(): Promise<void> {
    while (!this.#closing) {
      await this.#releaseCancelled();
      this.#admitWaiting();
      await this.#prefillOneChunk();
      await this.#decodeStep();
      this.#report();
      if (this.#waiting.length === 0 && this.#running().length === 0) await this.#wakened();
    }
    for (const { running } of this.#slots) await running?.decoder?.return();
  }

  async #releaseCancelled(): Promise<void> {
    for (let at = this.#waiting.length - 1; at >= 0; at -= 1) {
      const generation = this.#waiting[at] as Generation;
      if (!generation.cancelled) continue;
      this.#waiting.splice(at, 1);
      this.#ended(beginGeneration(generation, this.#options.nowMs()), null);
    }
    for (const slot of this.#slots) {
      if (slot.running?.generation.cancelled) await this.#release(slot, null);
    }
  }

  #admitWaiting(): void {
    for (const slot of this.#slots) {
      if (slot.running !== null) continue;
      const generation = this.#waiting.shift();
      if (generation === undefined) return;
      slot.running = beginGeneration(generation, this.#options.nowMs());
      this.#startDecoderWhenPrefilled(slot);
    }
  }

  async #prefillOneChunk(): Promise<void> {
    const slot = this.#slots
      .filter(({ running }) => running !== null && running.decoder === null)
      .sort((a, b) => (a.running?.slotAtMs ?? 0) - (b.running?.slotAtMs ?? 0))[0];
    if (slot?.running == null) return;
    const chunk = tokensToPrefill(slot.running).slice(0, PREFILL_CHUNK_TOKENS);
    try {
      await slot.sequence.evaluateWithoutGeneratingNewTokens([...chunk]);
    } catch (error) {
      await this.#fail(slot, error);
      return;
    }
    slot.running.prefilledTokens += chunk.length;
    this.#startDecoderWhenPrefilled(slot);
  }

  #startDecoderWhenPrefilled({ sequence, running }: Slot): void {
    if (running === null || tokensToPrefill(running).length > 0) return;
    const { promptTokens, sampler } = running.generation;
    running.decoder = sequence.evaluate(promptTokens.slice(-1), { ...sampler, yieldEogToken: true });
  }

  async #decodeStep(): Promise<void> {
    const stepping = this.#slots.flatMap((slot) =>
      slot.running?.decoder ? [{ slot, token: slot.running.decoder.next() }] : [],
    );
    const sampled = await Promise.allSettled(stepping.map(({ token }) => token));
    const nowMs = this.#options.nowMs();
    for (const [position, { slot }] of stepping.entries()) {
      const outcome = sampled[position];
      if (outcome?.status === "fulfilled" && outcome.value.value !== undefined) {
        await this.#accept(slot, outcome.value.value, nowMs);
      } else {
        await this.#fail(slot, outcome?.status === "rejected" ? outcome.reason : "no token was sampled");
      }
    }
  }

  async #accept(slot: Slot, token: Token, nowMs: number): Promise<void> {
    const running = slot.running as RunningGeneration;
    const finishReason = acceptToken(running, token, this.#options.isEndOfGeneration(token), nowMs);
    if (finishReason !== null) await this.#release(slot, finishReason);
    else if (nowMs - running.lastSentAtMs >= MIN_SEND_INTERVAL_MS) this.#send(running, nowMs);
  }

  /** Frees the slot. Its KV cache is emptied: nothing of one job may reach the next. */
  async #release(slot: Slot, finishReason: Parameters<typeof generated>[1]): Promise<void> {
    const running = slot.running as RunningGeneration;
    await running.decoder?.return();
    await slot.sequence.clearHistory();
    slot.running = null;
    this.#ended(running, finishReason);
  }

  async #fail(slot: Slot, cause: unknown): Promise<void> {
    const { generation, decoder } = slot.running as RunningGeneration;
    const message = `the engine could not go on: ${cause instanceof Error ? cause.message : cause}`;
    await decoder?.return();
    await slot.sequence.clearHistory();
    slot.running = null;
    this.#events.push({
      type: "refused",
      id: generation.id,
      error: { code: "engine_failed", message, param: null },
    });
  }

  #ended(running: RunningGeneration, finishReason: Parameters<typeof generated>[1]): void {
    const nowMs = this.#options.nowMs();
    this.#send(running, nowMs);
    this.#events.push({
      type: "generated",
      id: running.generation.id,
      generated: generated(running, finishReason, nowMs),
    });
  }

  #send(running: RunningGeneration, nowMs: number): void {
    const { id, output } = running.generation;
    if (!output.hasUnsent) return;
    running.lastSentAtMs = nowMs;
    this.#events.push({ type: "deltas", id, deltas: output.takeUnsent() });
  }

  #report(): void {
    if (this.#events.length === 0) return;
    const events = this.#events;
    this.#events = [];
    this.#options.report(events);
  }

  #running(): RunningGeneration[] {
    return this.#slots.flatMap(({ running }) => running ?? []);
  }

  async #wakened(): Promise<void> {
    if (this.#closing) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = () => {};
  }
}
