import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { cp, mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";

// Promise: `npm start` installs what is missing or stale, and nothing else, whoever installed the packages.

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, "..");
const BOOTSTRAP_FILES = [
  "tools/bootstrap.mjs",
  "tools/installed-packages.mjs",
  "packages/shared/src/process/kernel-lock.mjs",
];
const INSTALLS = "Installing packages (npm ci)";

/** A checkout with one workspace and one package to install, which needs no registry. */
let checkout: string;
beforeEach(async () => {
  checkout = await mkdtemp(join(tmpdir(), "quern-checkout-"));
  for (const file of BOOTSTRAP_FILES) await cp(join(ROOT, file), join(checkout, file));
  await write("apps/cli/package.json", { name: "cli", version: "1.0.0", type: "module" });
  await mkdir(join(checkout, "apps/cli/src"));
  await writeFile(join(checkout, "apps/cli/src/main.ts"), 'console.log("the program runs");\n');
  await lockDependency("1.0.0");
});
afterEach(async () => {
  await rm(checkout, { recursive: true, force: true });
});

async function write(path: string, content: object): Promise<void> {
  await mkdir(dirname(join(checkout, path)), { recursive: true });
  await writeFile(join(checkout, path), JSON.stringify(content));
}

/** Makes package.json and package-lock.json ask for this version. */
async function lockDependency(version: string): Promise<void> {
  const packed = await mkdtemp(join(tmpdir(), "quern-packed-"));
  await writeFile(join(packed, "package.json"), JSON.stringify({ name: "dependency", version }));
  await npm(["pack", packed, "--pack-destination", checkout]);
  await rm(packed, { recursive: true });
  const dependencies = { dependency: `file:./dependency-${version}.tgz` };
  await write("package.json", { name: "root", workspaces: ["apps/*"], dependencies });
  await npm(["install", "--package-lock-only"]);
}

async function npm(args: string[]): Promise<void> {
  await run("npm", [...args, "--offline", "--no-audit", "--no-fund"], { cwd: checkout });
}

async function start(): Promise<string> {
  const { stdout } = await run(process.execPath, ["tools/bootstrap.mjs", "quern"], {
    cwd: checkout,
    env: { ...process.env, INIT_CWD: checkout, npm_config_offline: "true" },
  });
  expect(stdout).toContain("the program runs");
  return stdout;
}

async function installedVersion(): Promise<string> {
  const manifest = await readFile(join(checkout, "node_modules/dependency/package.json"), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}

test("packages that are missing are installed, once", async () => {
  expect(await start()).toContain(INSTALLS);
  expect(await start()).not.toContain(INSTALLS);
  expect(existsSync(join(checkout, ".quern-installing.lock"))).toBe(false);
});

test("what `npm ci` installed by hand is not installed again", async () => {
  await npm(["ci"]);
  expect(await start()).not.toContain(INSTALLS);
  expect(await start()).not.toContain(INSTALLS);
});

test.each(["npm start", "npm ci"])("a lockfile that changed after %s is followed", async (installer) => {
  await (installer === "npm ci" ? npm(["ci"]) : start());
  await lockDependency("2.0.0");
  expect(await start()).toContain(INSTALLS);
  expect(await installedVersion()).toBe("2.0.0");
});

test.each<[string, () => Promise<void>]>([
  ["npm had not written its list", () => rm(join(checkout, "node_modules/.package-lock.json"))],
  ["a package is missing", () => rm(join(checkout, "node_modules/dependency"), { recursive: true })],
  [
    "a package has another version",
    () => write("node_modules/dependency/package.json", { name: "dependency", version: "0.9.0" }),
  ],
  [
    "a package's folder changed after npm wrote its list",
    () =>
      rename(
        join(checkout, "node_modules/dependency/package.json"),
        join(checkout, "node_modules/dependency/moved.json"),
      ).then(() =>
        rename(
          join(checkout, "node_modules/dependency/moved.json"),
          join(checkout, "node_modules/dependency/package.json"),
        ),
      ),
  ],
])("an install that broke off is done again: %s", async (_name, breakOff) => {
  await npm(["ci"]);
  await breakOff();
  expect(await start()).toContain(INSTALLS);
  expect(await installedVersion()).toBe("1.0.0");
});

test("two starts at once install once", async () => {
  const outputs = await Promise.all([start(), start()]);
  expect(outputs.filter((output) => output.includes(INSTALLS))).toHaveLength(1);
});
