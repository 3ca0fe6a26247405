import { isEmbeddingRequest, type JobRequest } from "@quern/shared/contract/job";
import type { PreparerOptions, VocabularyFacts } from "../protocol/prepare-messages.ts";
import type { PreparedRequest } from "../protocol/prepared-request.ts";
import { PreparationLane } from "./preparation-lane.ts";

/**
 * Requests above this cost, in about microseconds, go to the slow lane: nothing that waits in the quick lane then waits
 * longer than some ten milliseconds for the request in front of it.
 */
const QUICK_COST = 20_000;
/** Measured on one core of 2.5 GHz; what counts is the order. */
const COST = { perCharacter: 0.4, perMessage: 40, perSchemaCharacter: 8, perCountedCharacter: 1.5 };
/** The slow lane's child is closed when it had nothing to do for this long. */
const SLOW_LANE_IDLE_MS = 60_000;

/**
 * Prepares jobs and counts tokens off the engine's step thread, in children that know the vocabulary only. Two lanes, so
 * that a request that takes seconds keeps only its like waiting.
 */
export class Preparation implements AsyncDisposable {
  readonly facts: VocabularyFacts;
  readonly #quick: PreparationLane;
  readonly #slow: PreparationLane;
  #nextCountId = 1;

  /** @throws QuernError when the vocabulary can't be loaded, or a declared system prompt does not fit. */
  static async start(options: PreparerOptions, signal: AbortSignal): Promise<Preparation> {
    const quick = new PreparationLane(options, null);
    return new Preparation(options, quick, await quick.start(signal));
  }

  private constructor(options: PreparerOptions, quick: PreparationLane, facts: VocabularyFacts) {
    this.#quick = quick;
    // Its system prompts are in the facts already.
    this.#slow = new PreparationLane({ ...options, systemPrompts: [] }, SLOW_LANE_IDLE_MS);
    this.facts = facts;
  }

  /**
   * @param onSlow called when the request turns out to take long.
   * @throws QuernError when the request is refused; PreparerDied; the reason of `signal`'s abort while it still waited.
   */
  async prepare(
    id: string,
    request: JobRequest,
    onSlow: () => void,
    signal: AbortSignal,
  ): Promise<PreparedRequest> {
    if (preparationCost(request) <= QUICK_COST) {
      const outcome = await this.#quick.run({ type: "prepare", id, request, effort: "quick" }, signal);
      if (outcome.type === "prepared") return outcome.prepared;
    }
    onSlow();
    const outcome = await this.#slow.run({ type: "prepare", id, request, effort: "any" }, signal);
    if (outcome.type !== "prepared") throw new Error(`a request was prepared, and ${outcome.type} came back`);
    return outcome.prepared;
  }

  /**
   * Tokens of the prompt, or of each input. The request is not read here: it may be as large as a body.
   * @throws QuernError when the request is refused; PreparerDied.
   */
  async count(requestJson: string, signal: AbortSignal): Promise<number[]> {
    const lane = COST.perCountedCharacter * requestJson.length <= QUICK_COST ? this.#quick : this.#slow;
    const id = `count-${this.#nextCountId++}`;
    const outcome = await lane.run({ type: "count", id, requestJson }, signal);
    if (outcome.type !== "counted") throw new Error(`tokens were counted, and ${outcome.type} came back`);
    return outcome.tokens;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#quick[Symbol.asyncDispose](), this.#slow[Symbol.asyncDispose]()]);
  }
}

/** How long a request takes to prepare, roughly. */
export function preparationCost(request: JobRequest): number {
  if (isEmbeddingRequest(request)) return COST.perCharacter * lengthOf(request.inputs);
  const { completion, messages, tools } = request;
  const texts = [
    completion?.prompt ?? "",
    completion?.suffix ?? "",
    ...messages.flatMap(({ content, reasoning_content = "" }) => [content, reasoning_content]),
  ];
  const calls = messages.flatMap(({ tool_calls = [] }) => tool_calls);
  const schemas = [request.format, tools, calls];
  return (
    COST.perCharacter * lengthOf(texts) +
    COST.perMessage * messages.length +
    COST.perSchemaCharacter * JSON.stringify(schemas).length
  );
}

function lengthOf(texts: readonly string[]): number {
  return texts.reduce((sum, { length }) => sum + length, 0);
}
