import { expect, test } from "vitest";
import { z } from "zod";
import { parseEnv } from "./env.ts";
import { retentionOf, retentionVariables, toRetention } from "./retention.ts";

const retentionIn = (env: Record<string, string>) => toRetention(parseEnv(z.object(retentionVariables), env));

test("a day, unless told; batch jobs and events may have times of their own", () => {
  const day = { retentionSeconds: 86_400, eventsRetentionSeconds: 86_400 };
  expect(retentionOf(retentionIn({}), "batch")).toEqual(day);
  const told = retentionIn({
    QUERN_RETENTION_SECONDS: "100",
    QUERN_BATCH_RETENTION_SECONDS: "10",
    QUERN_EVENTS_RETENTION_SECONDS: "50",
  });
  expect(retentionOf(told, "interactive")).toEqual({ retentionSeconds: 100, eventsRetentionSeconds: 50 });
  expect(retentionOf(told, "batch")).toEqual({ retentionSeconds: 10, eventsRetentionSeconds: 10 });
  const shorter = retentionIn({ QUERN_RETENTION_SECONDS: "7" });
  expect(retentionOf(shorter, "batch")).toEqual({ retentionSeconds: 7, eventsRetentionSeconds: 7 });
});

test.each(["0", "-1", "1.5", "a day"])("%s is no retention", (seconds) => {
  expect(() => retentionIn({ QUERN_EVENTS_RETENTION_SECONDS: seconds })).toThrow(
    "QUERN_EVENTS_RETENTION_SECONDS",
  );
});
