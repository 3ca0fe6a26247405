// What `npm start`, `npm run quern`, `npm test`, `npm run test:chaos`, `npm run check` and `npm run bench` run first, on whatever Node the machine has. It
// installs the locked packages when they are missing or stale, then runs the real program under the Node 24 that the
// lockfile brings. No dependencies, and no syntax younger than Node 18, here or in what it imports: it must get as far as
// saying what is wrong.
//   usage: node tools/bootstrap.mjs start|quern|test|test:chaos|check|bench [arguments of the program]

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { LocksUnavailableError, waitForKernelLock } from "../packages/shared/src/process/kernel-lock.mjs";
import { isInstalled } from "./installed-packages.mjs";

/** Its message is all that is printed. */
class BootstrapError extends Error {}

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const STAMP = join(ROOT, "node_modules", ".quern-installed");
const LOWEST_HOST_MAJOR = 20;
const RUNTIME_MAJOR = 24;
const PROGRAMS = {
  start: ["apps/cli/src/main.ts", "up"],
  quern: ["apps/cli/src/main.ts"],
  test: ["tools/run-tests.ts"],
  "test:chaos": ["test/chaos/main.ts"],
  check: ["tools/check.ts"],
  bench: ["tools/bench/main.ts"],
};

const [name = "", ...args] = process.argv.slice(2);
const program = PROGRAMS[name];

try {
  if (program === undefined) fail(`usage: node tools/bootstrap.mjs ${Object.keys(PROGRAMS).join("|")}`);
  if (major(process.versions.node) < LOWEST_HOST_MAJOR) {
    fail(
      `Quern needs Node ${LOWEST_HOST_MAJOR} or newer, this is ${process.versions.node}: see https://nodejs.org`,
    );
  }
  await installPackages();
  await runAsParent(findRuntime(), [join(ROOT, program[0]), ...program.slice(1), ...args]);
} catch (error) {
  if (!(error instanceof BootstrapError || error instanceof LocksUnavailableError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}

/** `npm ci`, unless what is installed is what the lockfile says. */
async function installPackages() {
  if (isUpToDate()) return;
  await withLock(async () => {
    // Another start may have installed them while this one waited.
    if (isUpToDate()) return;
    const beganMs = Date.now();
    console.log("Installing packages (npm ci): about a minute, once.");
    const npm = process.platform === "win32" ? "npm.cmd" : "npm";
    const code = await run(npm, ["ci", "--loglevel=error", "--no-audit", "--no-fund"]);
    if (code !== 0) fail("npm ci failed; what it said stands above. Is the npm registry reachable?");
    writeFileSync(STAMP, lockDigest());
    console.log(`Packages are installed (${Math.round((Date.now() - beganMs) / 1000)} s).`);
  });
}

/** The stamp spares later starts the look at each package, which also finds what `npm ci` installed by hand. */
function isUpToDate() {
  const wanted = lockDigest();
  if (readIfThere(STAMP) === wanted) return true;
  if (!isInstalled(ROOT)) return false;
  try {
    writeFileSync(STAMP, wanted);
  } catch {
    // Another user's node_modules: the next start looks again.
  }
  return true;
}

/** What decides about the contents of node_modules. */
function lockDigest() {
  const hash = createHash("sha256");
  for (const file of ["package-lock.json", "package.json"]) hash.update(readFileSync(join(ROOT, file)));
  return hash.digest("hex");
}

/** Two starts at once must not both run `npm ci`. */
async function withLock(work) {
  const lock = await waitForKernelLock(join(ROOT, ".quern-installing.lock"), {
    onWait: () => console.log("Another start installs the packages; waiting for it."),
  });
  try {
    await work();
  } finally {
    lock.release();
  }
}

/** The Node that the lockfile brings; the host's own where npm has none for the platform, if it is new enough. */
function findRuntime() {
  for (const arch of ["x64", "arm64"]) {
    const binary = join(ROOT, "node_modules", `node-linux-${arch}`, "bin", "node");
    if (process.platform === "linux" && process.arch === arch && existsSync(binary)) return binary;
  }
  if (major(process.versions.node) >= RUNTIME_MAJOR) return process.execPath;
  return fail(
    `on ${process.platform}-${process.arch} Quern needs a Node ${RUNTIME_MAJOR} of your own, this is ${process.versions.node}`,
  );
}

/**
 * Stays as the parent and ends as the program ends. The IPC channel lets the program notice when this process is
 * killed; and since npm passes nothing on when it is killed itself, this process watches its own parent.
 */
function runAsParent(runtime, argv) {
  return new Promise((resolve, reject) => {
    const child = spawn(runtime, argv, {
      // npm runs scripts at the top of the repository; names of files are meant from where the person is.
      cwd: name === "quern" ? (process.env.INIT_CWD ?? process.cwd()) : process.cwd(),
      stdio: ["inherit", "inherit", "inherit", "ipc"],
    });
    // A terminal signals every process of the group, npm passes on what it got: the program sees them and decides.
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
    const ancestors = npmAncestors();
    const watch = setInterval(() => {
      if (npmAncestors() !== ancestors && child.connected) child.disconnect();
    }, 250);
    child.once("error", reject);
    child.once("exit", (code, signal) => {
      clearInterval(watch);
      process.exitCode = signal === null ? (code ?? 1) : 1;
      resolve();
    });
  });
}

/** The pids above this process that go away when npm does: npm itself, or the shell it runs scripts with and npm. */
function npmAncestors() {
  if (process.env.npm_lifecycle_event === undefined) return "";
  const status = readIfThere(`/proc/${process.ppid}/status`) ?? "";
  return `${process.ppid} ${/^PPid:\s*(\d+)/m.exec(status)?.[1] ?? ""}`;
}

function run(command, argv) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, argv, { cwd: ROOT, stdio: ["ignore", "inherit", "inherit"] });
    child.once("error", reject);
    child.once("exit", (code) => resolve(code ?? 1));
  });
}

function readIfThere(path) {
  return existsSync(path) ? readFileSync(path, "utf8") : undefined;
}

function major(version) {
  return Number(version.split(".")[0]);
}

function fail(message) {
  throw new BootstrapError(message);
}
