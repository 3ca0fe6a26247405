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
