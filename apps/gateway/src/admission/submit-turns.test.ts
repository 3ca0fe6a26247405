import { expect, test } from "vitest";
import { SubmitTurns } from "./submit-turns.ts";

const staying = new AbortController().signal;

/** Submits that the test ends. */
function submits(options: ConstructorParameters<typeof SubmitTurns>[0]) {
  const turns = new SubmitTurns(options);
  const begun: string[] = [];
  const ends = new Map<string, PromiseWithResolvers<string>>();
  const take = (name: string, jobClass: "interactive" | "batch" = "batch", gone = staying) => {
    const end = Promise.withResolvers<string>();
    ends.set(name, end);
    const taken = turns.take(jobClass, gone, () => {
      begun.push(name);
      return end.promise;
    });
    taken.catch(() => {});
    return taken;
  };
  const end = async (name: string) => {
    ends.get(name)?.resolve(name);
    await new Promise(setImmediate);
  };
  return { take, begun, end, fail: (name: string, error: Error) => ends.get(name)?.reject(error) };
}

test("so many submits run at once; the others wait and are accepted, interactive ones first", async () => {
  const { take, begun, end } = submits({ concurrent: 2 });
  const all = [take("a"), take("b"), take("c"), take("d"), take("e", "interactive")];
  expect(begun).toEqual(["a", "b"]);
  await end("a");
  expect(begun).toEqual(["a", "b", "e"]);
  for (const name of ["b", "e", "c", "d"]) await end(name);
  expect(begun).toEqual(["a", "b", "e", "c", "d"]);
  expect(await Promise.all(all)).toEqual(["a", "b", "c", "d", "e"]);
});

test("a submit that would wait too long is refused at once, before it begins, and told when to come again", async () => {
  let nowMs = 0;
  const { take, begun, end } = submits({ concurrent: 1, maxWaitMs: 30_000, now: () => nowMs });
  // Submits take a second each, for long enough that this is known.
  void take("0");
  for (let number = 1; number <= 30; number += 1) {
    void take(`${number}`);
    nowMs += 1_000;
    await end(`${number - 1}`);
  }
  const outcomes = Array.from({ length: 1_000 }, (_, number) => take(`${31 + number}`));
  const refused = await Promise.any(
    outcomes.map((outcome) =>
      outcome.then(
        () => Promise.reject(),
        (error) => error,
      ),
    ),
  );
  expect(refused).toMatchObject({ code: "gateway_overloaded", retryable: true, retryAfterSeconds: 31 });
  // It goes before the ones of class batch, so its wait is short.
  const urgent = take("urgent", "interactive");
  await end("30");
  await end("urgent");
  expect(await urgent).toBe("urgent");
  expect(begun.slice(-3)).toEqual(["30", "urgent", "31"]);
});

test("a moment's standstill refuses nobody", async () => {
  let nowMs = 0;
  const { take, begun, end } = submits({ concurrent: 1, maxWaitMs: 30_000, now: () => nowMs });
  void take("first");
  nowMs += 1_500;
  await end("first");
  const all = Array.from({ length: 900 }, (_, number) => take(`${number}`));
  for (const name of all.keys()) await end(`${name}`);
  expect(await Promise.all(all)).toHaveLength(900);
  expect(begun).toHaveLength(901);
});

test("no more wait than there is room for", async () => {
  const { take } = submits({ concurrent: 1, maxWaiting: 1 });
  void take("running");
  void take("waiting");
  await expect(take("refused")).rejects.toMatchObject({ code: "gateway_overloaded" });
});

test("a caller that hangs up while it waits submits nothing", async () => {
  const { take, begun, end } = submits({ concurrent: 1 });
  const hangsUp = new AbortController();
  void take("running");
  const left = take("left", "batch", hangsUp.signal);
  const next = take("next");
  hangsUp.abort();
  await expect(left).rejects.toMatchObject({ code: "job_cancelled" });
  await end("running");
  await end("next");
  expect(await next).toBe("next");
  expect(begun).toEqual(["running", "next"]);
});

test("when Redis is found to be away, those that wait are told at once", async () => {
  const { take, begun, fail } = submits({ concurrent: 1 });
  const running = take("running");
  const waiting = take("waiting");
  fail("running", new Error("Command timed out"));
  await expect(running).rejects.toThrow("Command timed out");
  await expect(waiting).rejects.toThrow("Command timed out");
  expect(begun).toEqual(["running"]);
});

test("a submit that is refused for a reason of its own leaves the others alone", async () => {
  const { take, end, fail } = submits({ concurrent: 1 });
  const running = take("running");
  const waiting = take("waiting");
  fail("running", Object.assign(new Error("OOM command not allowed"), { name: "ReplyError" }));
  await expect(running).rejects.toThrow("OOM");
  await end("waiting");
  expect(await waiting).toBe("waiting");
});
