import fc from "fast-check";
import type { Llama } from "node-llama-cpp";
import { afterAll, beforeAll, expect, test } from "vitest";
import { grammarOf, grammarTakes, startLlama } from "../llama-grammar.fixture.ts";
import { otherKey } from "./other-keys.ts";

let llama: Llama;
beforeAll(async () => {
  llama = await startLlama();
});
afterAll(() => llama.dispose());

const key = fc
  .array(fc.constantFrom("a", "b", "\\", '"', "\n", "n", "é", "😀", "\u{1f601}"), { maxLength: 4 })
  .map((parts) => parts.join(""));

test("any key is taken but the named ones", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(key, { maxLength: 5 }),
      fc.array(key, { maxLength: 30 }),
      async (names, others) => {
        const takes = await grammarTakes(
          llama,
          grammarOf((rules) => otherKey(rules, names)),
        );
        for (const other of [...names, ...others]) {
          expect(takes(JSON.stringify(other).slice(1)), other).toBe(!names.includes(other));
        }
      },
    ),
    { numRuns: 100 },
  );
});

test("a name in another spelling is not taken", async () => {
  const takes = await grammarTakes(
    llama,
    grammarOf((rules) => otherKey(rules, ["a/b", "\u0001"])),
  );
  for (const spelled of ["\\u0061/b", "a\\/b", "\\u0001"]) expect(takes(`${spelled}"`), spelled).toBe(false);
});
