import { readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { parseSync } from "oxc-parser";
import type { ImportOf } from "./import-rules.ts";

/** Every import, re-export and literal `import()` of a file. `file` is relative to `root`. */
export function readImports(root: string, file: string): ImportOf[] {
  return importsOf(file, readFileSync(join(root, file), "utf8"));
}

/** @throws when the source is not TypeScript. */
export function importsOf(file: string, source: string): ImportOf[] {
  const { module, errors } = parseSync(file, source);
  if (errors.length > 0) throw new Error(`${file}: ${errors[0]?.message}`);
  const specifiers = [
    ...module.staticImports.map(({ moduleRequest }) => moduleRequest.value),
    ...module.staticExports.flatMap(({ entries }) =>
      entries.flatMap(({ moduleRequest }) => moduleRequest?.value ?? []),
    ),
    ...module.dynamicImports.flatMap(({ moduleRequest: { start, end } }) =>
      literal(source.slice(start, end)),
    ),
  ];
  return [...new Set(specifiers)].map((specifier) => ({ file, target: targetOf(file, specifier) }));
}

function literal(expression: string): string[] {
  const match = /^(["'`])([^"'`$]*)\1$/.exec(expression);
  return match?.[2] === undefined ? [] : [match[2]];
}

/** `@quern/shared/redis/x` → `packages/shared/src/redis/x.ts`; `bullmq/dist/y` → `bullmq`. */
function targetOf(file: string, specifier: string): string {
  if (specifier.startsWith(".")) return normalize(join(dirname(file), specifier));
  const workspace = /^@quern\/(shared|testing)\/(.+)$/.exec(specifier);
  if (workspace !== null) return `packages/${workspace[1]}/src/${workspace[2]}.ts`;
  if (specifier.startsWith("node:")) return specifier;
  return specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
}
