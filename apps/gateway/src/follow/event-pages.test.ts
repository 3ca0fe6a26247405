import type { NumberedTokenEvent } from "@quern/shared/contract/token-event";
import { expect, test } from "vitest";
import { EventPages } from "./event-pages.ts";

/** A stream that grows by an event at each read. */
function growingStream() {
  let reads = 0;
  const readPage = async (): Promise<NumberedTokenEvent[]> => {
    reads += 1;
    return [{ id: `1-${reads}`, event: { type: "delta", data: { text: "" } } }];
  };
  return { readPage, reads: () => reads };
}

test("followers that need the same page in one turn of the event loop share one read", async () => {
  const pages = new EventPages();
  const { readPage, reads } = growingStream();
  // Each comes out of a wait of its own, as followers do that are woken together.
  const follow = async () => {
    await Promise.resolve();
    return pages.read("job_1", "1-0", readPage);
  };
  const [first, second] = await Promise.all([follow(), follow()]);
  expect(second).toBe(first);
  expect(reads()).toBe(1);
});

test("a follower of a later turn gets no page from before it", async () => {
  const pages = new EventPages();
  const never = new Promise<NumberedTokenEvent[]>(() => {});
  void pages.read("job_1", "1-0", () => never);
  await new Promise(setImmediate);
  const { readPage } = growingStream();
  expect((await pages.read("job_1", "1-0", readPage))[0]?.id).toBe("1-1");
});

test("another job, or another place in the stream, is another page", async () => {
  const pages = new EventPages();
  const { readPage, reads } = growingStream();
  await Promise.all([
    pages.read("job_1", "1-0", readPage),
    pages.read("job_2", "1-0", readPage),
    pages.read("job_1", null, readPage),
  ]);
  expect(reads()).toBe(3);
});
