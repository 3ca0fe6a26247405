import type { QueueName } from "@quern/shared/contract/job";
import { expect, test } from "vitest";
import { MAX_EMBEDDING_JOBS, MAX_PARKS, MAX_SET_ASIDE, type PoolJob, SlotPool } from "./slot-pool.ts";

let nextId = 1;
function job(queue: QueueName, changes: Partial<PoolJob> = {}): PoolJob {
  return { id: `job_${nextId++}`, queue, slots: 1, parks: 0, ...changes };
}
const interactive = (changes?: Partial<PoolJob>) => job("interactive", changes);
const batch = (changes?: Partial<PoolJob>) => job("batch", changes);

/** A pool in which these jobs have a place. */
function poolOf(slots: number, running: PoolJob[], reservedSlots = 0): SlotPool {
  const pool = new SlotPool({ slots, reservedSlots });
  for (const one of running) expect(pool.decide(one)).toEqual({ kind: "admit", park: [] });
  return pool;
}
/** What an engine reports that has these jobs in its slots, and those behind them. */
const occupied = (slots: (PoolJob | null)[], waiting: PoolJob[] = []) => ({
  slots: slots.map((one) => one?.id ?? null),
  waiting: waiting.map(({ id }) => id),
});
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
  pool.observe(occupied([next, two]));
  expect(pool.decide(interactive())).toEqual(parks(next));
});

test("a choice that has ended frees its slot, before the job's other choices have", () => {
  const many = interactive({ slots: 3 });
  const pool = poolOf(4, [many], 1);
  expect(pool.decide(batch())).toEqual(WAIT);
  pool.observe(occupied([many, many, many, null]));
  expect(pool.decide(batch())).toEqual(WAIT);
  pool.observe(occupied([null, many, null, null]));
  expect(pool.decide(batch())).toEqual(parks());
  expect(pool.busySlots).toBe(2);
});

test("a job that the engine has finished with holds no slot while its end is written", () => {
  const done = interactive();
  const pool = poolOf(1, [done]);
  pool.observe(occupied([done]));
  expect(pool.mayFetch("interactive")).toBe(false);
  pool.observe(occupied([null]));
  expect(pool.decide(interactive())).toEqual(parks());
  // It is still there for a suspect, which needs an engine without any trace of others.
  expect(pool.isEmpty).toBe(false);
});

test("a job on its way into the engine keeps its slot, whatever older reports say", () => {
  const coming = interactive();
  const pool = poolOf(1, [coming]);
  pool.observe(occupied([null]));
  expect(pool.decide(interactive())).toEqual(WAIT);
});

test("choices that wait in the engine count, so that no other job is put behind them", () => {
  const many = interactive({ slots: 4 });
  const pool = poolOf(2, [many]);
  pool.observe(occupied([many, many], [many, many]));
  expect(pool.decide(interactive())).toEqual(WAIT);
  pool.observe(occupied([many, null]));
  expect(pool.decide(interactive())).toEqual(parks());
});

test("the order that a job carries into the engine is the pool's: interactive first, batch leaves the reserve", () => {
  const pool = new SlotPool({ slots: 4, reservedSlots: 1 });
  expect(pool.orderOf(interactive())).toEqual({ rank: 0, leaveFree: 0 });
  expect(pool.orderOf(batch())).toEqual({ rank: 1, leaveFree: 1 });
  expect(pool.orderOf(job("suspects"))).toEqual({ rank: 0, leaveFree: 0 });
});

test("a job whose preparation takes long gives its slot to others, and gets one again when it is prepared", () => {
  const long = interactive();
  const pool = poolOf(1, [long]);
  pool.setAside(long);
  const other = interactive();
  expect(pool.decide(other)).toEqual(parks());
  expect(pool.reenter(long)).toEqual(WAIT);
  // It was there first: the next job of its queue is not fetched.
  pool.heard("suspects", "quiet");
  pool.leave(other);
  expect(pool.mayFetch("interactive")).toBe(false);
  expect(pool.reenter(long)).toEqual(parks());
  expect(pool.decide(interactive())).toEqual(WAIT);
});

test("a prepared batch job keeps no interactive job waiting", () => {
  const long = batch();
  const pool = poolOf(1, [long]);
  pool.setAside(long);
  const other = batch();
  expect(pool.decide(other)).toEqual(parks());
  expect(pool.reenter(long)).toEqual(WAIT);
  expect(pool.decide(interactive())).toEqual(parks(other));
});

test("a job that was not set aside is in already, and a bound holds for those that are", () => {
  const quick = interactive();
  const pool = poolOf(4, [quick]);
  expect(pool.reenter(quick)).toEqual(parks());
  pool.heard("suspects", "quiet");
  for (let i = 0; i < MAX_SET_ASIDE; i++) {
    expect(pool.mayFetch("interactive")).toBe(true);
    const long = interactive();
    pool.decide(long);
    pool.setAside(long);
  }
  expect(pool.mayFetch("interactive")).toBe(false);
});

test("a suspect that takes long to prepare keeps its engine to itself", () => {
  const suspect = job("suspects");
  const pool = poolOf(2, [suspect]);
  pool.setAside(suspect);
  expect(pool.decide(interactive())).toEqual(WAIT);
  expect(pool.reenter(suspect)).toEqual(parks());
});

test("a job that was set aside finishes where room is made for a suspect, and waits while the engine is down", () => {
  const long = interactive();
  const pool = poolOf(2, [long]);
  pool.setAside(long);
  expect(pool.clear()).toEqual([]);
  pool.hold("engine_down");
  expect(pool.reenter(long)).toEqual(WAIT);
  pool.release("engine_down");
  pool.hold("draining");
  expect(pool.reenter(long)).toEqual(parks());
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
