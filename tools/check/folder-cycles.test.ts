import { expect, test } from "vitest";
import { folderCycles } from "./folder-cycles.ts";
import type { ImportOf } from "./import-rules.ts";

/** `a/x.ts > b/y.ts`: the first file imports the second one. */
const importsOf = (...lines: string[]): ImportOf[] =>
  lines.map((line) => {
    const [file = "", target = ""] = line.split(" > ");
    return { file: `top/${file}`, target: target.endsWith(".ts") ? `top/${target}` : target };
  });

test("a cycle of folders is found although no files import each other, with an example of each import", () => {
  const edges = importsOf("a/1.ts > b/1.ts", "a/2.ts > b/2.ts", "b/3.ts > c/1.ts", "c/2.ts > a/3.ts");
  expect(folderCycles(edges, "top")).toEqual([
    [
      "top/a, top/b, top/c import each other in a circle:",
      "  top/a → top/b: top/a/1.ts imports top/b/1.ts",
      "  top/b → top/c: top/b/3.ts imports top/c/1.ts",
      "  top/c → top/a: top/c/2.ts imports top/a/3.ts",
    ].join("\n"),
  ]);
});

test("cycles that share no folder are told apart, and what only leads to one is not in it", () => {
  const edges = importsOf(
    ...["a/1.ts > b/1.ts", "b/2.ts > a/2.ts"],
    ...["c/1.ts > d/1.ts", "d/2.ts > c/2.ts"],
    ...["main.ts > a/1.ts", "a/1.ts > c/1.ts", "d/1.ts > leaf/1.ts"],
  );
  expect(folderCycles(edges, "top").map((found) => found.split("\n")[0])).toEqual([
    "top/a, top/b import each other in a circle:",
    "top/c, top/d import each other in a circle:",
  ]);
});

test("a folder may import its subfolder, but not be imported by it as well", () => {
  const down = importsOf("main.ts > a/1.ts", "a/1.ts > a/inner/1.ts");
  expect(folderCycles(down, "top")).toEqual([]);
  const up = importsOf("a/inner/2.ts > a/2.ts");
  expect(folderCycles([...down, ...up], "top")).toHaveLength(1);
});

test.each([
  { what: "folders that only import downwards", edges: importsOf("a/1.ts > b/1.ts", "b/2.ts > c/1.ts") },
  { what: "files of one folder", edges: importsOf("a/1.ts > a/2.ts", "a/2.ts > a/1.ts") },
  { what: "a test", edges: importsOf("a/1.ts > b/1.ts", "b/1.test.ts > a/1.ts") },
  { what: "a fixture", edges: importsOf("a/1.ts > b/1.ts", "b/1.fixture.ts > a/1.ts") },
  { what: "packages", edges: importsOf("a/1.ts > zod", "b/1.ts > zod") },
  {
    what: "folders outside",
    edges: [
      { file: "top/a/1.ts", target: "topmost/b/1.ts" },
      { file: "topmost/b/2.ts", target: "top/a/2.ts" },
    ],
  },
])("no cycle: $what", ({ edges }) => {
  expect(folderCycles(edges, "top")).toEqual([]);
});
