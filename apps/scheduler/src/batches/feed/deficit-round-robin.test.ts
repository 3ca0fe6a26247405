import fc from "fast-check";
import { expect, test } from "vitest";
import { DeficitRoundRobin } from "./deficit-round-robin.ts";

const QUANTUM = 500;
const MAX_LINE = 4_000;
const SEED = Number(process.env.QUERN_PROPERTY_SEED ?? Date.now() % 2 ** 31);

const lineTokens = fc.integer({ min: 1, max: MAX_LINE });

/** What each tenant had got after each line, when all of them have lines without end. */
function shares(tenants: string[], weights: Record<string, number>, costs: number[]) {
  const weightOf = (tenant: string) => weights[tenant] ?? 1;
  const turns = new DeficitRoundRobin({ quantumTokens: QUANTUM, weightOf });
  const waiting = new Set(tenants);
  const got: Record<string, number> = Object.fromEntries(tenants.map((tenant) => [tenant, 0]));
  return costs.map((cost) => {
    const tenant = turns.next(waiting) as string;
    turns.charge(tenant, cost);
    got[tenant] = (got[tenant] ?? 0) + cost / weightOf(tenant);
    return { ...got };
  });
}

function spread(got: Record<string, number>): number {
  return Math.max(...Object.values(got)) - Math.min(...Object.values(got));
}

test("while all wait, equal tenants get the same but for a quantum and a longest line", () => {
  const runs = fc.record({
    tenants: fc
      .integer({ min: 2, max: 12 })
      .map((count) => Array.from({ length: count }, (_, at) => `t${at}`)),
    costs: fc.array(lineTokens, { minLength: 1, maxLength: 400 }),
    from: fc.nat(399),
  });
  fc.assert(
    fc.property(runs, ({ tenants, costs, from }) => {
      const history = shares(tenants, {}, costs);
      for (const got of history) expect(spread(got)).toBeLessThanOrEqual(QUANTUM + MAX_LINE);
      const start = history[from];
      const end = history.at(-1);
      if (start === undefined || end === undefined) return;
      const over = tenants.map((tenant) => [tenant, (end[tenant] ?? 0) - (start[tenant] ?? 0)]);
      expect(spread(Object.fromEntries(over))).toBeLessThanOrEqual(2 * (QUANTUM + MAX_LINE));
    }),
    { seed: SEED, numRuns: 300 },
  );
});

test("weights divide: the same but for a quantum and a longest line of the lightest", () => {
  const runs = fc.record({
    weights: fc.array(fc.integer({ min: 1, max: 8 }), { minLength: 2, maxLength: 8 }),
    costs: fc.array(lineTokens, { minLength: 1, maxLength: 400 }),
  });
  fc.assert(
    fc.property(runs, ({ weights, costs }) => {
      const byTenant = Object.fromEntries(weights.map((weight, at) => [`t${at}`, weight]));
      const bound = QUANTUM + MAX_LINE / Math.min(...weights);
      for (const got of shares(Object.keys(byTenant), byTenant, costs)) {
        expect(spread(got)).toBeLessThanOrEqual(bound);
      }
    }),
    { seed: SEED, numRuns: 200 },
  );
});

test("whoever comes and goes: somebody who waits is served, and nobody who waits is forgotten", () => {
  const steps = fc.array(
    fc.record({ waiting: fc.uniqueArray(fc.constantFrom<string[]>("a", "b", "c", "d")), cost: lineTokens }),
    { maxLength: 300 },
  );
  fc.assert(
    fc.property(steps, (plan) => {
      const turns = new DeficitRoundRobin({ quantumTokens: QUANTUM, weightOf: () => 1 });
      const passedOver = new Map<string, number>();
      for (const { waiting, cost } of plan) {
        const served = turns.next(new Set<string>(waiting));
        if (waiting.length === 0) expect(served).toBeNull();
        else expect(waiting).toContain(served);
        for (const tenant of passedOver.keys()) {
          if (!waiting.includes(tenant) || tenant === served) passedOver.delete(tenant);
        }
        for (const tenant of waiting) {
          if (tenant !== served) passedOver.set(tenant, (passedOver.get(tenant) ?? 0) + cost);
        }
        // Its own debt of a longest line, and as much for each of three others.
        for (const tokens of passedOver.values()) {
          expect(tokens).toBeLessThanOrEqual(6 * (QUANTUM + MAX_LINE));
        }
        if (served !== null) turns.charge(served, cost);
      }
    }),
    { seed: SEED, numRuns: 300 },
  );
});

test("a newcomer has no more than its share, whatever it did not use before", () => {
  const turns = new DeficitRoundRobin({ quantumTokens: 100, weightOf: () => 1 });
  for (let line = 0; line < 1_000; line++) turns.charge(turns.next(new Set(["old"])) as string, 100);
  const both = new Set(["old", "new"]);
  const served = Array.from({ length: 20 }, () => {
    const tenant = turns.next(both) as string;
    turns.charge(tenant, 100);
    return tenant;
  });
  expect(served.filter((tenant) => tenant === "new")).toHaveLength(10);
});

test("a newcomer's credit is used once, and gone with its lines", () => {
  const turns = new DeficitRoundRobin({ quantumTokens: 100, weightOf: () => 1 });
  const credits: string[] = [];
  const creditOf = (tenant: string) => {
    credits.push(tenant);
    return tenant === "new" ? 1_000 : 0;
  };
  const serve = (waiting: string[]) => {
    const tenant = turns.next(new Set(waiting), creditOf) as string;
    turns.charge(tenant, 100);
    return tenant;
  };
  serve(["old"]);
  const served = Array.from({ length: 14 }, () => serve(["old", "new"])).filter((tenant) => tenant === "new");
  expect(served.length).toBeGreaterThanOrEqual(11);
  for (let line = 0; line < 5; line++) serve(["old"]);
  expect(credits).toEqual(["old", "new"]);
});

test("what a line cost more than was thought is paid back", () => {
  const turns = new DeficitRoundRobin({ quantumTokens: 100, weightOf: () => 1 });
  const both = new Set(["cheap", "dear"]);
  const got = { cheap: 0, dear: 0 };
  for (let line = 0; line < 3_000; line++) {
    const tenant = turns.next(both) as keyof typeof got;
    turns.charge(tenant, 50);
    // Known later: each line of `dear` took four times as much, of `cheap` half as much.
    turns.charge(tenant, tenant === "dear" ? 150 : -25);
    got[tenant] += tenant === "dear" ? 200 : 25;
  }
  expect(Math.abs(got.cheap - got.dear)).toBeLessThanOrEqual(300);
});
