import { execFile } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { folderCycles, TOPS_WITHOUT_FOLDER_CYCLES } from "./check/folder-cycles.ts";
import { violations } from "./check/import-rules.ts";
import { readImports } from "./check/read-imports.ts";
import { type SourceFile, sourceViolations, unusedScripts } from "./check/source-rules.ts";

// `npm run check`: types, lint, format, import rules, cycles, unused code. One line each; the output of what failed.

const ROOT = join(import.meta.dirname, "..");
const run = promisify(execFile);

interface Check {
  name: string;
  /** Resolves with what is wrong; empty: nothing. */
  findings: () => Promise<string>;
}

const CHECKS: Check[] = [
  { name: "types (tsc)", findings: () => tool("tsc", ["--noEmit", "-p", "tsconfig.json"]) },
  {
    name: "lint, format, import cycles (biome)",
    findings: () => tool("biome", ["check", "--error-on-warnings", "."]),
  },
  { name: "promises, exhaustive switches (oxlint)", findings: () => tool("oxlint", ["--type-aware", "."]) },
  { name: "unused files, exports, dependencies (knip)", findings: () => tool("knip", ["--no-progress"]) },
  { name: "import rules, cycles of folders", findings: importFindings },
  { name: "environment, skipped tests, large files, unused Lua", findings: async () => sourceFindings() },
];

let failed = 0;
for (const { name, findings } of CHECKS) {
  const beganMs = performance.now();
  const found = (await findings()).trim();
  const took = `${((performance.now() - beganMs) / 1_000).toFixed(1)} s`;
  console.log(`${found === "" ? "✓" : "✗"} ${name} (${took})`);
  if (found === "") continue;
  failed += 1;
  console.log(found);
}
console.log(failed === 0 ? "All checks passed." : `${failed} of ${CHECKS.length} checks failed.`);
process.exitCode = failed === 0 ? 0 : 1;

/** What a tool prints when it fails. */
async function tool(name: string, args: string[]): Promise<string> {
  try {
    await run(join(ROOT, "node_modules", ".bin", name), args, {
      cwd: ROOT,
      maxBuffer: 2 ** 26,
      // Tools that are scripts must run under this Node, not under an older one of the machine.
      env: { ...process.env, PATH: `${join(process.execPath, "..")}:${process.env.PATH}`, FORCE_COLOR: "0" },
    });
    return "";
  } catch (error) {
    const { stdout = "", stderr = "", message } = error as Error & { stdout?: string; stderr?: string };
    return `${stdout}${stderr}`.trim() || message;
  }
}

/** What git tracks, or would. */
async function repositoryFiles(): Promise<string[]> {
  const { stdout } = await run("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    cwd: ROOT,
  });
  const listed = stdout.split("\0").filter((path) => path !== "");
  return listed.filter((path) => statSync(join(ROOT, path), { throwIfNoEntry: false })?.isFile());
}

async function importFindings(): Promise<string> {
  const files = (await repositoryFiles()).filter((path) => /\.(ts|mjs)$/.test(path));
  const imports = files.flatMap((file) => readImports(ROOT, file));
  const cycles = TOPS_WITHOUT_FOLDER_CYCLES.flatMap((top) => folderCycles(imports, top));
  return [...violations(imports), ...cycles].join("\n");
}

async function sourceFindings(): Promise<string> {
  const files = (await repositoryFiles()).map((path): SourceFile => {
    const content = readFileSync(join(ROOT, path));
    return { path, bytes: content.length, text: content.includes(0) ? null : content.toString("utf8") };
  });
  return [...files.flatMap(sourceViolations), ...unusedScripts(files)].join("\n");
}
