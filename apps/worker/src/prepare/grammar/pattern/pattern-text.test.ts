import fc from "fast-check";
import type { Llama } from "node-llama-cpp";
import { afterAll, beforeAll, expect, test } from "vitest";
import { grammarTakes, schemaGrammar, startLlama } from "../llama-grammar.fixture.ts";
import { STRING_FORMATS } from "./string-formats.ts";

let llama: Llama;
beforeAll(async () => {
  llama = await startLlama();
});
afterAll(() => llama.dispose());

const pieces = fc.array(
  fc.constantFrom("a", "b", "A", "1", "0", "-", ".", "_", " ", "\n", '"', "\\", "é", "😀", "[", "]"),
  {
    maxLength: 7,
  },
);

test.each([
  "^a*b+$",
  "a|b1$|^-",
  "^(a|b){2,3}$",
  "^(?:a1?)+-?$",
  "^[^a-z0-9]+$",
  "^\\w\\W\\d?\\D*$",
  "^[\\w.-]+$",
  '^["\\\\]+$',
  "^\\s|\\S$",
  "^.$",
  "^..?$",
  "^[\\]\\[-]+$",
  "^\\u0061\\x62[\\u{0}é😀]?".replace("\\u{0}", ""),
  "^a{0}b{2}$",
  "^(a|b|)1$",
  "^a{1,}?$",
  "",
  "^$",
])("%s matches what the regular expression matches", async (pattern) => {
  const takes = await grammarTakes(llama, schemaGrammar({ pattern }));
  const expression = new RegExp(pattern, "u");
  fc.assert(
    fc.property(pieces, (characters) => {
      const text = characters.join("");
      expect(takes(JSON.stringify(text)), text).toBe(expression.test(text));
    }),
    { numRuns: 300 },
  );
});

test("dates are days of the calendar", async () => {
  const takes = await grammarTakes(llama, schemaGrammar({ format: "date" }));
  const day = fc.record({ year: fc.nat(9_999), month: fc.nat(13), day: fc.nat(32) });
  const special = fc.record({
    year: fc.constantFrom(1900, 2000, 2023, 2024),
    month: fc.constant(2),
    day: fc.constantFrom(28, 29, 30),
  });
  fc.assert(
    fc.property(fc.oneof(day, special), ({ year, month, day }) => {
      const digits = (value: number, count: number) => String(value).padStart(count, "0");
      const text = `${digits(year, 4)}-${digits(month, 2)}-${digits(day, 2)}`;
      const date = new Date(`${text}T00:00:00Z`);
      const exists = !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text);
      expect(takes(JSON.stringify(text)), text).toBe(exists);
    }),
    { numRuns: 1_000 },
  );
});

test.each([...STRING_FORMATS.keys()])("the format %s is a pattern that is supported", async (format) => {
  expect((await grammarTakes(llama, schemaGrammar({ format })))('""')).toBe(false);
});
