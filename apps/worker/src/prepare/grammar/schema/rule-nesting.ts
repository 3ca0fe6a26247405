/** What is known of a rule that is being written, or is. */
interface Frame<Rule> {
  key: string;
  rule: Rule;
  /** Whether alternatives are being written that are read side by side. */
  doubled: boolean;
  /** Open rules that are referred to from within. */
  reaches: Set<string>;
}

/**
 * The rules that refer to each other: which are open, which are done. It finds recursion that passes through
 * alternatives read side by side: there every level would double the readings, without end.
 */
export class RuleNesting<Rule> {
  readonly #open: Frame<Rule>[] = [];
  readonly #done = new Map<string, Frame<Rule>>();

  get depth(): number {
    return this.#open.length;
  }

  /** Of the innermost open rule. */
  set doubled(doubled: boolean) {
    const frame = this.#open.at(-1);
    if (frame !== undefined) frame.doubled = doubled;
  }

  /** null: there is no such rule yet. `doubled`: there is, and it must not be referred to from here. */
  find(key: string): Rule | "doubled" | null {
    const frame = this.#open.find((open) => open.key === key) ?? this.#done.get(key);
    if (frame === undefined) return null;
    const reached = this.#done.has(key) ? frame.reaches : new Set([key]);
    for (const target of reached) {
      const from = this.#open.findIndex((open) => open.key === target);
      if (from === -1) continue;
      if (this.#open.slice(from).some(({ doubled }) => doubled)) return "doubled";
      this.#open.at(-1)?.reaches.add(target);
    }
    return frame.rule;
  }

  open(key: string, rule: Rule): void {
    this.#open.push({ key, rule, doubled: false, reaches: new Set() });
  }

  /** Ends the innermost open rule, as what it has become. */
  close(rule: Rule): Rule {
    const frame = this.#open.pop();
    if (frame === undefined) throw new Error("no rule is open");
    const outer = this.#open.at(-1);
    for (const target of frame.reaches) if (target !== frame.key) outer?.reaches.add(target);
    this.#done.set(frame.key, { ...frame, rule });
    return rule;
  }
}
