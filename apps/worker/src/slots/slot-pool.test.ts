import type { QueueName } from "@quern/shared/contract/job";
import { expect, test } from "vitest";
import { MAX_EMBEDDING_JOBS, MAX_PARKS, type PoolJob, SlotPool } from "./slot-pool.ts";

let nextId = 1;
function job(queue: QueueName, changes: Partial<PoolJob> = {}): PoolJob {
  return { id: `job_${nextId++}`, queue, slots: 1, parks: 0, ...changes };
}
const interactive = (changes?: Partial<PoolJob>) => job("interactive", changes);
const batch = (changes?: Partial<PoolJob>) => job("batch", changes);

/** A pool in which these jobs run. */
function poolOf(slots: number, running: PoolJob[], reservedSlots = 0): SlotPool {
  const pool = new SlotPool({ slots, reservedSlots });
  for (const one of running) expect(pool.decide(one)).toEqual({ kind: "admit", park: [] });
  return pool;
}
const WAIT = { kind: "wait" };
const parks = (...park: PoolJob[]) => ({ kind: "admit", park });

test("interactive jobs take every slot, batch jobs leave the reserve", () => {
  const pool = poolOf(4, [batch(), batch(), batch()], 1);
  expect(pool.decide(batch())).toEqual(WAIT);
  expect(pool.decide(interactive())).toEqual(parks());
  expect(
    poolOf(
      4,
      Array.from({ length: 4 }, () => interactive()),
    ).decide(batch()),
  ).toEqual(WAIT);
});

test("an interactive job parks the youngest batch job, each arrival another one", () => {
  const [old, middle, young] = [batch(), batch(), batch()];
  const pool = poolOf(3, [old, middle, young]);
  expect(pool.decide(interactive())).toEqual(parks(young));
  expect(pool.decide(interactive())).toEqual(parks(middle));
  expect(pool.decide(interactive())).toEqual(parks(old));
  expect(pool.decide(interactive())).toEqual(WAIT);
  // Who is leaving has given its slot away already.
  pool.leave(young);
  expect(pool.decide(interactive())).toEqual(WAIT);
});

test("interactive never parks interactive, and what was parked often enough stays", () => {
  const tired = batch({ parks: MAX_PARKS });
  const pool = poolOf(2, [interactive(), tired]);
  expect(pool.decide(interactive())).toEqual(WAIT);
  pool.leave(tired);
  expect(pool.decide(interactive())).toEqual(parks());
});

test("a job counts with all its choices, and nobody is parked for nothing", () => {
  const many = batch({ slots: 16 });
  const pool = poolOf(2, [many]);
  expect(pool.decide(batch())).toEqual(WAIT);
  expect(pool.decide(interactive())).toEqual(parks(many));

  // It needs one slot to begin, however many choices it has.
  const single = poolOf(3, [interactive(), interactive()]);
  expect(single.decide(interactive({ slots: 4 }))).toEqual(parks());
  const small = batch();
  const full = poolOf(2, [small, interactive({ slots: 8 })]);
  expect(full.decide(interactive())).toEqual(WAIT);
});

test("batch jobs wait ahead in the engine, as many as are allowed, and behind whoever is interactive", () => {
  const pool = poolOf(3, [batch(), batch()], 1);
  expect(pool.decide(batch())).toEqual(WAIT);
  pool.allowAhead(2);
  const [next, last] = [batch(), batch()];
  expect(pool.decide(next)).toEqual(parks());
  expect(pool.decide(last)).toEqual(parks());
  expect(pool.decide(batch())).toEqual(WAIT);
  // The reserve is free all the same.
  const asked = interactive();
  expect(pool.decide(asked)).toEqual(parks());
  pool.leave(next);
  expect(pool.decide(batch())).toEqual(WAIT);
  pool.leave(asked);
  expect(pool.decide(batch())).toEqual(parks());
});

test("who waits ahead has no slot to give, until it has got one", () => {
  const [old, young] = [batch(), batch()];
  const pool = poolOf(2, [old, young]);
  pool.allowAhead(1);
  const next = batch();
  expect(pool.decide(next)).toEqual(parks());
  const [one, two] = [interactive(), interactive()];
  expect(pool.decide(one)).toEqual(parks(young));
  expect(pool.decide(two)).toEqual(parks(old));
  expect(pool.decide(interactive())).toEqual(WAIT);
  for (const gone of [young, old, one]) pool.leave(gone);
  // The next one has its slot now.
  expect(pool.decide(interactive())).toEqual(parks(next));
});

test("a worker that makes room for a suspect sends those away that wait ahead, too", () => {
  const running = batch();
  const pool = poolOf(1, [running]);
  pool.allowAhead(1);
  const next = batch();
  pool.decide(next);
  expect(pool.clear()).toEqual([running, next]);
});

test("vectors take no slot, and are bounded by themselves", () => {
  const pool = poolOf(1, [interactive()]);
  for (let i = 0; i < MAX_EMBEDDING_JOBS; i++) {
    expect(pool.decide(batch({ slots: 0 }))).toEqual(parks());
  }
  expect(pool.decide(interactive({ slots: 0 }))).toEqual(WAIT);
  expect(poolOf(1, [batch({ slots: 0 })]).decide(interactive())).toEqual(parks());
});

test("a suspect enters an empty engine, and nothing enters beside it", () => {
  const suspect = job("suspects");
  const other = interactive();
  const pool = poolOf(4, [other]);
  expect(pool.decide(suspect)).toEqual(WAIT);
  pool.leave(other);
  expect(pool.decide(suspect)).toEqual(parks());
  for (const one of [interactive(), batch(), interactive({ slots: 0 }), job("suspects")]) {
    expect(pool.decide(one)).toEqual(WAIT);
  }
  pool.leave(suspect);
  expect(pool.decide(interactive())).toEqual(parks());
});

test("making room for a suspect: nothing enters, batch jobs are parked, the others end", () => {
  const [running, parked, tired] = [interactive(), batch(), batch({ parks: MAX_PARKS })];
  const pool = poolOf(4, [running, parked, tired]);
  expect(pool.clear()).toEqual([parked]);
  expect(pool.clear()).toEqual([]);
  expect(pool.decide(interactive())).toEqual(WAIT);
  pool.reopen();
  expect(pool.decide(interactive())).toEqual(parks());
});

test("a held pool lets nobody in until every reason is gone", () => {
  const pool = poolOf(1, []);
  pool.hold("engine_down");
  pool.hold("draining");
  pool.release("engine_down");
  expect(pool.mayFetch("interactive")).toBe(false);
  expect(pool.decide(interactive())).toEqual(WAIT);
  pool.release("draining");
  expect(pool.decide(interactive())).toEqual(parks());
});

test("a queue is asked when those before it are known to have nothing", () => {
  const pool = poolOf(2, []);
  expect(pool.mayFetch("suspects")).toBe(true);
  expect(pool.mayFetch("interactive")).toBe(false);
  pool.heard("suspects", "quiet");
  expect(pool.mayFetch("interactive")).toBe(true);
  expect(pool.mayFetch("batch")).toBe(false);
  pool.heard("interactive", "quiet");
  expect(pool.mayFetch("batch")).toBe(true);
  pool.heard("interactive", "unknown");
  expect(pool.mayFetch("batch")).toBe(false);
});

test("a queue whose next job would not be let in is not asked, and holds nobody up", () => {
  const pool = poolOf(2, [batch()], 1);
  // Somebody runs: suspects can't enter, whether there are any or not.
  expect(pool.mayFetch("suspects")).toBe(false);
  expect(pool.mayFetch("interactive")).toBe(true);
  pool.heard("interactive", "quiet");
  expect(pool.mayFetch("batch")).toBe(false);
  const full = poolOf(1, [interactive()]);
  expect(full.mayFetch("interactive")).toBe(false);
  const parkable = poolOf(1, [batch()]);
  expect(parkable.mayFetch("interactive")).toBe(true);
});
