import { expect, test } from "vitest";
import { readEnv, toConfig } from "./config.ts";

const feedingOf = (env: Record<string, string>) => toConfig(readEnv(env)).feeding;

test("tenants have weights, and batches are put in order within a thousand lines", () => {
  expect(feedingOf({})).toEqual({ tenantWeights: new Map(), lookaheadLines: 1_000 });
  const env = { QUERN_TENANT_WEIGHTS: "acme=2, a=b=0.5", QUERN_BATCH_LOOKAHEAD_LINES: "1" };
  const tenantWeights = new Map([
    ["acme", 2],
    ["a=b", 0.5],
  ]);
  expect(feedingOf(env)).toEqual({ tenantWeights, lookaheadLines: 1 });
});

test.each(["acme", "acme=", "acme=0", "acme=-1", "acme=x", "=2", "acme=1,,b=2", "acme=1001"])(
  "QUERN_TENANT_WEIGHTS=%s is told of, with what it should be",
  (weights) => {
    expect(() => feedingOf({ QUERN_TENANT_WEIGHTS: weights })).toThrow(
      /QUERN_TENANT_WEIGHTS: must be tenants and weights from 0\.01 to 1000, as in acme=2/,
    );
  },
);
