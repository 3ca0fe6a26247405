/**
 * Who may import whom (docs/architecture.md). A rule names the files it binds and what they may not import; the first
 * sentence of an error is its `why`.
 */

/** One import of one file. Paths are relative to the top of the repository. */
export interface ImportOf {
  file: string;
  /** A path for a file of ours, a package's name for others (`node:` ones too). */
  target: string;
}

interface ImportRule {
  why: string;
  forbids: (edge: ImportOf) => boolean;
}

const appOf = (path: string) => /^apps\/([^/]+)\//.exec(path)?.[1];
const isTest = (path: string) => /\.test\.ts$/.test(path) || path.startsWith("test/");
const isForTests = (path: string) => isTest(path) || path.endsWith(".fixture.ts");
/** All that the benchmarks know of the apps. */
const UNDER_TEST = /^tools\/bench\/([a-z]+\/)?[a-z]+-under-test\.ts$/;
/** The rooms of the worker's parent process, of its children, and those that both build on. */
const WORKER_ROOM = /^apps\/worker\/src\/(?:(protocol|fit)|(engines|prepare)|[^/]+)\//;
const isOurs = (target: string) => target.endsWith(".ts") || target.endsWith(".mjs");
const inSource = (path: string) => /^(apps|packages)\//.test(path) && !isTest(path);

/** Which of the worker's processes a file runs in; null: it is not the worker's. */
function sideOf(path: string): "parent" | "engines" | "prepare" | "both" | null {
  if (!path.startsWith("apps/worker/src/")) return null;
  const [, both, child] = WORKER_ROOM.exec(path) ?? [];
  if (both !== undefined) return "both";
  return child === undefined ? "parent" : (child as "engines" | "prepare");
}

/** The only rooms of `packageName`; everyone's tests may use it too. */
function onlyIn(packageName: string, rooms: RegExp, why: string): ImportRule {
  return {
    why,
    forbids: ({ file, target }) => target === packageName && !rooms.test(file) && !isTest(file),
  };
}

export const IMPORT_RULES: ImportRule[] = [
  {
    why: "apps import @quern/shared, never each other; tools don't import apps, but for what the benchmarks have under test",
    forbids: ({ file, target }) => {
      const [from, to] = [appOf(file), appOf(target)];
      return to !== undefined && from !== to && !isTest(file) && !UNDER_TEST.test(file);
    },
  },
  {
    why: "contract imports zod and itself only",
    forbids: ({ file, target }) =>
      inSource(file) &&
      file.startsWith("packages/shared/src/contract/") &&
      target !== "zod" &&
      !target.startsWith("packages/shared/src/contract/"),
  },
  {
    why: "openai translates and nothing more: it imports contract, zod and itself",
    forbids: ({ file, target }) =>
      inSource(file) &&
      file.startsWith("packages/shared/src/openai/") &&
      target !== "zod" &&
      !/^packages\/shared\/src\/(contract|openai)\//.test(target),
  },
  {
    why: "@quern/testing is for tests and their fixtures",
    forbids: ({ file, target }) =>
      inSource(file) &&
      !isForTests(file) &&
      !file.startsWith("packages/testing/") &&
      target.startsWith("packages/testing/"),
  },
  {
    why: "fixtures are for tests",
    forbids: ({ file, target }) => target.endsWith(".fixture.ts") && !isForTests(file),
  },
  {
    why: "the worker's parent process and its children meet in protocol/ alone",
    forbids: ({ file, target }) => {
      if (isForTests(file) || !file.startsWith("apps/worker/src/")) return false;
      const [from, to] = [sideOf(file), sideOf(target)];
      return from !== "both" && to !== null && to !== "both" && from !== to;
    },
  },
  {
    why: "protocol/ and fit/ build on nothing of the worker's but each other, fit/ on nothing of protocol/",
    forbids: ({ file, target }) =>
      !isForTests(file) &&
      sideOf(file) === "both" &&
      target.startsWith("apps/worker/src/") &&
      (sideOf(target) !== "both" || (file.includes("/fit/") && target.includes("/protocol/"))),
  },
  onlyIn(
    "node-llama-cpp",
    /^(apps\/worker\/src\/(engines|prepare)|tools\/bench\/engine)\//,
    "only the worker's children and the benchmarks' engine/ folder know llama.cpp",
  ),
  onlyIn(
    "bullmq",
    /^apps\/(gateway\/src\/dispatch|worker\/src\/consumer|scheduler\/src\/queue)\//,
    "only dispatch/, consumer/ and the scheduler's queue/ know BullMQ",
  ),
  onlyIn(
    "express",
    /^apps\/gateway\/src\/(routes|http|auth|openapi)\/|^apps\/gateway\/src\/(app|events)\.ts$/,
    "only the gateway's HTTP rooms know Express",
  ),
  onlyIn("commander", /^apps\/cli\//, "only the command line knows commander"),
  {
    why: "only main.ts, the composition file and tests see a whole configuration (config.ts)",
    forbids: ({ file, target }) =>
      /^apps\/[^/]+\/src\/config\.ts$/.test(target) &&
      !isTest(file) &&
      !/\/(main|gateway|worker|scheduler|program|up|up-command)\.ts$/.test(file),
  },
  {
    why: "a folder's files are reached by their paths, not through an index",
    forbids: ({ target }) => isOurs(target) && /(^|\/)index\.ts$/.test(target),
  },
];

/** Each violation as a line for people. */
export function violations(edges: readonly ImportOf[]): string[] {
  return edges.flatMap((edge) =>
    IMPORT_RULES.filter(({ forbids }) => forbids(edge)).map(
      ({ why }) => `${edge.file} imports ${edge.target}: ${why}`,
    ),
  );
}
