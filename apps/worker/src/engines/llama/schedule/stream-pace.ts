import { TILE_TOKENS } from "../driver/driver.ts";
import type { StepCost, StepShape } from "./step-cost.ts";

/** While prompts are computed, running streams take at most this many times as long for a token, on average. */
const MAX_STRETCH = 2.5;

/**
 * How much of prompts a step may carry beside running streams. One tile may cost more than a step's share of the
 * time; then the steps after it carry none until the streams have caught up.
 */
export class StreamPace {
  #owedMs = 0;

  /** In whole tiles; 0 while streams are owed time. `streams`: the step without any prompt. */
  promptTokens(streams: Pick<StepShape, "passes" | "rows">, cost: StepCost): number {
    if (this.#owedMs > 0) return 0;
    const stepMs = cost.predictMs({ ...streams, prefillTokens: 0 });
    const tokenMs = cost.prefillTokenMs();
    if (stepMs === null || tokenMs === null) return TILE_TOKENS;
    const affordable = ((MAX_STRETCH - 1) * stepMs) / Math.max(tokenMs, 1e-6);
    return Math.max(1, Math.floor(affordable / TILE_TOKENS)) * TILE_TOKENS;
  }

  /** A step is over; called before `cost` learns of it. */
  stepped(shape: StepShape, tookMs: number, cost: StepCost): void {
    const stepMs = cost.predictMs({ ...shape, prefillTokens: 0 });
    if (shape.rows === 0 || stepMs === null) {
      this.#owedMs = 0;
      return;
    }
    const spentMs = shape.prefillTokens > 0 ? Math.max(0, tookMs - stepMs) : 0;
    this.#owedMs = Math.max(0, this.#owedMs + spentMs - (MAX_STRETCH - 1) * stepMs);
  }
}
