import { expect, test } from "vitest";
import { figure, percent, textTable } from "./text-table.ts";

test("names to the left, figures to the right, a dash for what there isn't", () => {
  const columns = [
    { title: "contender", cell: ({ name }: { name: string; speed: number | null }) => name },
    { title: "tok/s", cell: ({ speed }: { speed: number | null }) => figure(speed) },
  ];
  const rows = [
    { name: "quern", speed: 1234.56 },
    { name: "a", speed: null },
  ];
  expect(textTable(columns, rows)).toBe(
    ["contender   tok/s", "quern      1234.6", "a               –"].join("\n"),
  );
});

test("shares are percents", () => {
  expect(percent(0.975)).toBe("97.5%");
  expect(percent(null)).toBe("–");
});
