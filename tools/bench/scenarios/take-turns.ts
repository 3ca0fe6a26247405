import type { ScenarioContext } from "../command/scenario.ts";
import type { RoundTrace } from "../engine/workload.ts";

/** What is compared with others: a contender with a workload. */
export interface Turn {
  name: string;
  /** Round 0 is a warm-up whose outcome nobody sees. */
  run: (round: number) => Promise<RoundTrace>;
}

/**
 * Rounds in turns, A B A B: whatever disturbs the machine for longer than a round disturbs all alike.
 *
 * @returns the rounds of each turn, in the order of the turns.
 */
export async function takeTurns(
  turns: readonly Turn[],
  repeat: number,
  { stop, tell }: Pick<ScenarioContext, "stop" | "tell">,
): Promise<RoundTrace[][]> {
  const traces: RoundTrace[][] = turns.map(() => []);
  for (let round = 0; round <= repeat; round++) {
    for (const [at, { name, run }] of turns.entries()) {
      stop.throwIfAborted();
      tell(round === 0 ? `${name}: warm-up` : `${name}: round ${round} of ${repeat}`);
      const trace = await run(round);
      if (round > 0) traces[at]?.push(trace);
    }
  }
  return traces;
}
