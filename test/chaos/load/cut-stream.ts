/** The bytes of a reply, up to a cut: then its connection is closed in the middle of whatever it was saying. */
export async function* untilCut(reply: Response, cutAfterBytes: number | null): AsyncGenerator<string> {
  const reader = reply.body?.getReader();
  if (reader === undefined) return;
  const decoder = new TextDecoder();
  let left = cutAfterBytes ?? Number.POSITIVE_INFINITY;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield decoder.decode(value.subarray(0, Math.min(left, value.length)), { stream: true });
      left -= value.length;
      if (left <= 0) return;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/** Whole blocks of a server-sent stream; what a cut left of the last one is dropped, as a browser does. */
export async function* blocksOf(text: AsyncIterable<string>): AsyncGenerator<Map<string, string>> {
  let rest = "";
  for await (const part of text) {
    const blocks = (rest + part).split("\n\n");
    rest = blocks.pop() ?? "";
    for (const block of blocks) {
      const fields = new Map<string, string>();
      for (const line of block.split("\n")) {
        const colon = line.indexOf(": ");
        if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 2));
      }
      if (fields.has("data")) yield fields;
    }
  }
}
