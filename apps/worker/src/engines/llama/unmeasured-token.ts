import type { LoadedModelFacts } from "../../protocol/engine-options.ts";

/** What even a slow machine reaches: bytes of weights read, and multiplications done, in a millisecond. */
const SLOWEST = {
  cpu: { weightBytesPerMs: 2e5, operationsPerMs: 2e6 },
  gpu: { weightBytesPerMs: 2e7, operationsPerMs: 2e8 },
};

/**
 * The longest time that a token can take on a machine that works: a bound for steps of a kind that was not measured yet,
 * so that the watchdog does not take a slow first prompt for a hang.
 */
export function unmeasuredTokenMs({
  weightsBytes,
  activeParameters,
  parameters,
  device,
}: Pick<LoadedModelFacts, "weightsBytes" | "activeParameters" | "parameters" | "device">): number {
  const { weightBytesPerMs, operationsPerMs } = SLOWEST[device === "cpu" ? "cpu" : "gpu"];
  const activeBytes = weightsBytes * (activeParameters / Math.max(parameters, 1));
  return Math.max(activeBytes / weightBytesPerMs, (2 * activeParameters) / operationsPerMs);
}
