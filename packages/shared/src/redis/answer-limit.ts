import type { Command } from "ioredis";
import { everyLoopStep } from "../process/loop-time.ts";

/**
 * Fails the commands of one connection that Redis leaves unanswered: those that have waited for `limitMs` while no other
 * command was answered either. A long line of commands is not a Redis that is away, and neither is an event loop that
 * is too busy to read replies: its delay does not count (`loop-time.ts`).
 */
export class AnswerLimit {
  readonly #limitMs: number;
  /** In the order in which they were sent, with the time of that. */
  readonly #unanswered = new Map<Command, number>();
  /** Loop time; it stands still while no command is unanswered. */
  #nowMs = 0;
  #lastAnswerAtMs = 0;
  #stop: (() => void) | null = null;

  constructor(limitMs: number) {
    this.#limitMs = limitMs;
  }

  watch(command: Command): void {
    this.#unanswered.set(command, this.#nowMs);
    this.#stop ??= everyLoopStep((stepMs) => this.#step(stepMs));
    command.promise.then(
      () => this.#answered(command),
      () => this.#answered(command),
    );
  }

  #answered(command: Command): void {
    // Absent: it was given up.
    if (!this.#unanswered.delete(command)) return;
    this.#lastAnswerAtMs = this.#nowMs;
    this.#stopWhenIdle();
  }

  #step(stepMs: number): void {
    this.#nowMs += stepMs;
    const latestMs = this.#nowMs - this.#limitMs;
    if (this.#lastAnswerAtMs <= latestMs) {
      for (const [command, sentAtMs] of this.#unanswered) {
        if (sentAtMs > latestMs) break;
        this.#unanswered.delete(command);
        command.reject(new Error("Command timed out"));
      }
    }
    this.#stopWhenIdle();
  }

  #stopWhenIdle(): void {
    if (this.#unanswered.size > 0) return;
    this.#stop?.();
    this.#stop = null;
  }
}
