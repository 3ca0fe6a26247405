import type { Contender } from "./contender.ts";
import type { RoundTrace, Workload } from "./workload.ts";

/** What a scenario runs with. */
export interface ScenarioContext {
  modelPath: string;
  /** Aborted: close everything, the figures aren't wanted any more. */
  stop: AbortSignal;
  /** One line of progress for people. */
  tell: (line: string) => void;
}

export interface ScenarioOutcome {
  /** Everything that was measured, round by round, for programs. */
  figures: object;
  /** The same in short, for people. */
  tables: string;
}

export interface TurnOptions {
  contenders: readonly Contender[];
  repeat: number;
  /** The same for every contender; 0 is a warm-up whose outcome nobody sees. */
  workload: (round: number) => Workload;
}

/**
 * Rounds in turns, A B A B: whatever disturbs the machine for longer than a round disturbs all contenders.
 *
 * @returns each contender's rounds, in the order of the contenders.
 */
export async function takeTurns(options: TurnOptions, context: ScenarioContext): Promise<RoundTrace[][]> {
  const { contenders, repeat, workload } = options;
  const traces: RoundTrace[][] = contenders.map(() => []);
  for (let round = 0; round <= repeat; round++) {
    for (const [turn, contender] of contenders.entries()) {
      context.stop.throwIfAborted();
      context.tell(
        round === 0 ? `${contender.name}: warm-up` : `${contender.name}: round ${round} of ${repeat}`,
      );
      const trace = await contender.run(workload(round));
      if (round > 0) traces[turn]?.push(trace);
    }
  }
  return traces;
}
