export interface DeficitRoundRobinOptions {
  /** What a tenant of weight 1 may take each time it is its turn, in tokens. */
  quantumTokens: number;
  /** A tenant of weight 2 gets twice as much; > 0. */
  weightOf: (tenant: string) => number;
}

/**
 * Whose turn it is to have a line fed: deficit round robin (Shreedhar & Varghese, "Efficient fair queuing using deficit
 * round-robin", 1996), with tenants for flows and tokens for bytes. Only decides: no I/O, no time.
 *
 * Tenants are visited in turn. A visit adds the tenant's quantum to its deficit, and lasts while that is above 0; each line takes what
 * it costs. Unlike the paper's, a line need not fit into the deficit, which goes below 0 instead: what a line costs is known
 * for certain when it has ended, and a huge one must not wait for many rounds. Its tenant pays it back by being passed over.
 *
 * - From when they all began to wait, any two tenants of weight 1 have got the same but for one quantum and one longest line;
 *   over an interval that begins later, but for twice that. Weights divide.
 * - Nobody who waits waits while there is room: alone, a tenant gets all of it, and rounds in which all pay back are skipped.
 * - Who has nothing to feed loses what is left of its turn, and saves nothing up; a debt it keeps, as long as others wait.
 */
export class DeficitRoundRobin {
  readonly #quantumTokens: number;
  readonly #weightOf: (tenant: string) => number;
  /** By tenant, in the order of the visits: it is the first one's turn. Who has nothing to feed is in here only with a debt. */
  readonly #deficits = new Map<string, number>();

  constructor({ quantumTokens, weightOf }: DeficitRoundRobinOptions) {
    this.#quantumTokens = quantumTokens;
    this.#weightOf = weightOf;
  }

  /**
   * Who of those that wait gets the next line; null: nobody waits. `charge` says what it cost.
   * @param creditOf what a tenant starts with that did not wait so far, in tokens.
   */
  next(waiting: ReadonlySet<string>, creditOf: (tenant: string) => number = () => 0): string | null {
    if (waiting.size === 0) {
      this.#deficits.clear();
      return null;
    }
    for (const tenant of waiting) {
      if (!this.#deficits.has(tenant)) this.#deficits.set(tenant, creditOf(tenant));
    }
    this.#skipRounds(waiting);
    for (;;) {
      const [tenant, deficit] = this.#first();
      if (deficit > 0 && waiting.has(tenant)) return tenant;
      this.#passOn(tenant, deficit, waiting);
    }
  }

  /** What a line of the tenant costs; below 0: what its lines have cost less than was thought. */
  charge(tenant: string, tokens: number): void {
    const deficit = this.#deficits.get(tenant);
    if (deficit !== undefined) this.#deficits.set(tenant, deficit - tokens);
    else if (tokens > 0) this.#deficits.set(tenant, -tokens);
  }

  /** While all that wait have to pay back, nobody gets anything: so many rounds are one step. */
  #skipRounds(waiting: ReadonlySet<string>): void {
    let rounds = Number.POSITIVE_INFINITY;
    for (const tenant of waiting) {
      rounds = Math.min(rounds, Math.floor(-(this.#deficits.get(tenant) ?? 0) / this.#quantumOf(tenant)));
      if (rounds < 1) return;
    }
    for (const [tenant, deficit] of this.#deficits) this.#add(tenant, deficit, rounds, waiting);
  }

  #passOn(tenant: string, deficit: number, waiting: ReadonlySet<string>): void {
    this.#deficits.delete(tenant);
    if (waiting.has(tenant) || deficit < 0) this.#deficits.set(tenant, deficit);
    this.#add(...this.#first(), 1, waiting);
  }

  #add(tenant: string, deficit: number, rounds: number, waiting: ReadonlySet<string>): void {
    const added = deficit + rounds * this.#quantumOf(tenant);
    this.#deficits.set(tenant, waiting.has(tenant) ? added : Math.min(added, 0));
  }

  #quantumOf(tenant: string): number {
    return this.#quantumTokens * this.#weightOf(tenant);
  }

  #first(): [tenant: string, deficit: number] {
    for (const entry of this.#deficits) return entry;
    throw new Error("nobody waits");
  }
}
