import type { CpuClock } from "./cpu-time.ts";
import type { StepRecord } from "./engine-under-test.ts";

/** What every contender is given alike: the same tokens, the same numbers of them. */
export interface BenchRequest {
  promptTokens: readonly number[];
  maxTokens: number;
}

export interface Workload {
  requests: readonly BenchRequest[];
  /** So many run at once; the next one starts when one has ended. */
  inFlight: number;
  /** Arrives once each of the first `inFlight` requests has `afterTokens` tokens. They must run longer than that. */
  late: { request: BenchRequest; afterTokens: number } | null;
}

/** Times are milliseconds of one monotonic clock. */
export interface GenerationTrace {
  sentAtMs: number;
  /** One for each token, ascending. */
  tokenAtMs: number[];
  endedAtMs: number;
  /** Prompt tokens that were not computed again. */
  cachedTokens: number;
}

export interface RoundTrace {
  /** In the order of the workload's requests. */
  generations: GenerationTrace[];
  late: GenerationTrace | null;
  /** `interpolated`: only the first and the last token's times are known. */
  tokenTimes: TokenTimes;
  /** User and system time of the process that runs the model. null: too little to be told from nothing. */
  cpuMs: number | null;
  /** null: the contender can't be observed step by step. */
  steps: StepRecord[] | null;
}

export type TokenTimes = "observed" | "interpolated";

/** What can run a model, as a workload drives it. */
export interface Target {
  /** Of the llama.cpp that it runs. */
  readonly version: string;
  readonly tokenTimes: TokenTimes;
  /** `approximate`: it can't be made to say exactly as many tokens as the others. */
  readonly answerLength: "exact" | "approximate";
  /** Calls back as tokens arrive. Rejects with what the contender said when it can't go on. */
  generate: (request: BenchRequest, onToken: () => void) => Promise<GenerationTrace>;
  readonly cpu: CpuClock;
  /** The steps since the last call; null where they can't be observed. */
  takeSteps: () => StepRecord[] | null;
}

/**
 * Rejects with the first thing that goes wrong, then leaves `target` as it is.
 *
 * @throws when `late` waits for more tokens than the others have, or for tokens that nobody sees; when an answer of
 *   exact length has another one.
 */
export async function runWorkload(target: Target, workload: Workload): Promise<RoundTrace> {
  const { requests, late } = workload;
  const inFlight = Math.min(workload.inFlight, requests.length);
  if (late !== null && requests.slice(0, inFlight).some(({ maxTokens }) => maxTokens <= late.afterTokens)) {
    throw new Error("the late request would wait for tokens that never come");
  }
  if (late !== null && target.tokenTimes !== "observed") throw new Error("nobody sees when late is due");

  const lateIsDue = Promise.withResolvers<void>();
  let streamsBelow = inFlight;
  const countTokens = () => {
    let tokens = 0;
    return () => {
      tokens += 1;
      if (tokens === late?.afterTokens && --streamsBelow === 0) lateIsDue.resolve();
    };
  };

  target.takeSteps();
  const cpuBeforeMs = target.cpu.nowMs();
  const generations: GenerationTrace[] = [];
  let next = 0;
  const runLane = async () => {
    for (let at = next++; at < requests.length; at = next++) {
      const onToken = at < inFlight ? countTokens() : () => {};
      generations[at] = await generateAll(target, requests[at] as BenchRequest, onToken);
    }
  };
  const lanes = Promise.all(Array.from({ length: inFlight }, runLane));
  const lateTrace =
    late === null ? null : lateIsDue.promise.then(() => generateAll(target, late.request, () => {}));
  // Both at once: when one rejects, the other may never settle, or reject when nobody looks any more.
  const [, lateGeneration] = await Promise.all([lanes, lateTrace]);
  const cpuMs = target.cpu.nowMs() - cpuBeforeMs;
  return {
    generations,
    late: lateGeneration,
    tokenTimes: target.tokenTimes,
    cpuMs: cpuMs < target.cpu.lowestMs ? null : cpuMs,
    steps: target.takeSteps(),
  };
}

async function generateAll(
  target: Target,
  request: BenchRequest,
  onToken: () => void,
): Promise<GenerationTrace> {
  const generation = await target.generate(request, onToken);
  const { length } = generation.tokenAtMs;
  if (length === request.maxTokens || target.answerLength === "approximate") return generation;
  throw new Error(`an answer has ${length} tokens, not ${request.maxTokens}: figures would not compare`);
}
