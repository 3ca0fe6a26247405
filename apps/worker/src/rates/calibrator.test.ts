import { UNCALIBRATED } from "@quern/shared/contract/rates";
import { expect, test } from "vitest";
import { Calibrator } from "./calibrator.ts";

const estimate = {
  madeAtMs: 1_000,
  endsBefore: 0,
  startAtMs: { p50: 2_000, p90: 3_000 },
  endAtMs: { p50: 4_000, p90: 5_000 },
};
const job = { model: "m", class: "interactive" as const, estimate };

test("counts what came before its p50 and its p90, the very moment included", () => {
  const calibrator = new Calibrator();
  for (const atMs of [1_500, 2_000, 2_001, 3_000, 3_001]) calibrator.started(job, atMs);
  for (const atMs of [4_000, 5_000, 5_001]) calibrator.ended(job, atMs);
  expect(calibrator.counts).toEqual({
    starts: 5,
    startsBeforeP50: 2,
    startsBeforeP90: 4,
    ends: 3,
    endsBeforeP50: 1,
    endsBeforeP90: 2,
  });
});

test("a job that nobody could estimate says nothing about estimates", () => {
  const calibrator = new Calibrator();
  calibrator.started({ ...job, estimate: null }, 1);
  calibrator.ended({ ...job, estimate: null }, 1);
  expect(calibrator.counts).toEqual(UNCALIBRATED);
});
