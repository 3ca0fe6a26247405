import type { EngineStep } from "./engine-under-test.ts";

/** What every contender is given alike: the same tokens, the same numbers of them. End tokens don't end an answer. */
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
  /** User and system time of the process that runs the model. */
  cpuMs: number;
  /** null: the contender can't be observed step by step. */
  steps: EngineStep[] | null;
}

export type TokenTimes = "observed" | "interpolated";

/** What can run a model, as a workload drives it. */
export interface Target {
  /** Of the llama.cpp that it runs. */
  readonly version: string;
  readonly tokenTimes: TokenTimes;
  /** Calls back as tokens arrive. Rejects with what the contender said when it can't go on. */
  generate: (request: BenchRequest, onToken: () => void) => Promise<GenerationTrace>;
  /** Since its process started. */
  cpuMs: () => number;
  /** The steps since the last call; null where they can't be observed. */
  takeSteps: () => EngineStep[] | null;
}

/** @throws when `late` waits for more tokens than the others have, or for tokens that nobody sees. */
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
  const cpuBeforeMs = target.cpuMs();
  const generations: GenerationTrace[] = [];
  let next = 0;
  const runLane = async () => {
    for (let at = next++; at < requests.length; at = next++) {
      const onToken = at < inFlight ? countTokens() : () => {};
      generations[at] = await target.generate(requests[at] as BenchRequest, onToken);
    }
  };
  const lanes = Promise.all(Array.from({ length: inFlight }, runLane));
  const lateTrace =
    late === null ? null : lateIsDue.promise.then(() => target.generate(late.request, () => {}));
  // `lanes` first: when it rejects, the late request may never be due.
  await lanes;
  return {
    generations,
    late: await lateTrace,
    tokenTimes: target.tokenTimes,
    cpuMs: target.cpuMs() - cpuBeforeMs,
    steps: target.takeSteps(),
  };
}
