import { workerRatesSchema } from "@quern/shared/contract/rates";
import { expect, test } from "vitest";
import { RecentValues } from "./recent-values.ts";
import { type ServedJob, ServiceRates } from "./service-rates.ts";

function served(changes: Partial<ServedJob> = {}): ServedJob {
  return {
    class: "interactive",
    occupancyMs: 130,
    load: 0.25,
    size: { promptCharacters: 40, maxTokens: 40 },
    choices: 1,
    usage: { promptTokens: 10, completionTokens: 21, reasoningTokens: 0, cachedTokens: 0 },
    timings: { slotAtMs: 1_000, firstTokenAtMs: 1_020, endedAtMs: 1_120 },
    ...changes,
  };
}

test("nothing served, nothing known", () => {
  expect(new ServiceRates().current()).toBeNull();
});

test("a job tells speeds, lengths and what it kept its slot for", () => {
  const rates = new ServiceRates();
  rates.served(served());
  const one = (mean: number) => ({ count: 1, mean, variance: 0 });
  expect(rates.current()).toEqual({
    light: {
      prefillMsPerToken: one(2),
      decodeMsPerToken: one(5),
      overheadMs: one(10),
      occupancyMs: { interactive: one(130), batch: null },
    },
    full: null,
    lengths: {
      interactive: {
        tokensPerCharacter: one(0.25),
        completionTokens: { ...one(21), p50: 21, p90: 21 },
        completionShare: { ...one(0.525), p50: 0.525, p90: 0.525 },
      },
      batch: null,
    },
    dispatchMs: null,
    drift: 0.2,
  });
  expect(workerRatesSchema.parse(rates.current())).toEqual(rates.current());
});

test("speeds at full load are kept apart from others, and classes from each other", () => {
  const rates = new ServiceRates();
  rates.served(served({ load: 0.74 }));
  rates.served(served({ load: 0.75, class: "batch", occupancyMs: 500 }));
  const { light, full, lengths } = rates.current() ?? {};
  expect(light?.occupancyMs).toMatchObject({ interactive: { mean: 130 }, batch: null });
  expect(full?.occupancyMs).toMatchObject({ interactive: null, batch: { mean: 500 } });
  expect(lengths).toMatchObject({ interactive: expect.any(Object), batch: expect.any(Object) });
});

test("choices decode side by side; vectors are all prompt; one token has no pace", () => {
  const usage = { promptTokens: 10, completionTokens: 84, reasoningTokens: 0, cachedTokens: 0 };
  const four = new ServiceRates();
  four.served(served({ choices: 4, usage }));
  expect(four.current()).toMatchObject({
    light: { decodeMsPerToken: { mean: 5 } },
    lengths: { interactive: { completionTokens: { mean: 21 } } },
  });
  const vectors = new ServiceRates();
  const timings = { slotAtMs: 1_000, firstTokenAtMs: null, endedAtMs: 1_050 };
  vectors.served(
    served({
      usage: { ...usage, completionTokens: 0 },
      timings,
      size: { promptCharacters: 20, maxTokens: null },
    }),
  );
  expect(vectors.current()).toMatchObject({
    light: { prefillMsPerToken: { mean: 5 }, decodeMsPerToken: null },
    lengths: { interactive: { tokensPerCharacter: { mean: 0.5 }, completionTokens: null } },
  });
  const single = new ServiceRates();
  single.served(served({ usage: { ...usage, completionTokens: 1 } }));
  expect(single.current()).toMatchObject({ light: { decodeMsPerToken: null } });
});

test("only the last values count, and what is no number is none", () => {
  const values = new RecentValues();
  expect([values.moments(), values.quantiles()]).toEqual([null, null]);
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) values.add(value);
  expect(values.moments()).toBeNull();
  for (let i = 0; i < 1_000; i++) values.add(1e6);
  for (let i = 1; i <= 64; i++) values.add(i);
  expect(values.quantiles()).toMatchObject({ count: 64, mean: 32.5, p50: 32, p90: 58 });
  expect(values.moments()?.variance).toBeCloseTo((64 ** 2 - 1) / 12, 6);
});
