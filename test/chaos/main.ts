import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findOrInstallRedis } from "@quern/shared/process/redis-binary";
import { LEASE_MS, STALLED_CHECK_MS } from "./cluster.ts";
import { type ChaosOptions, readOptions } from "./options.ts";
import { type RunOutcome, runChaos } from "./run.ts";
import { percentile, table } from "./table.ts";

// `npm run test:chaos [-- --long --seed <n> …]` (docs/chaos.md)

/** Beside what the lease and the check cost: for a machine that is busy with all of this. */
const MACHINE_ALLOWANCE_MS = 2_000;
const TAKEOVER_MS = LEASE_MS + STALLED_CHECK_MS + MACHINE_ALLOWANCE_MS;
/** How long jobs may wait for their next attempt, by what took the one before: that share of them so many milliseconds. */
const MOST_WAITS: { kind: string; share: number; mostMs: number }[] = [
  { kind: "kill -9 worker", share: 0.99, mostMs: TAKEOVER_MS },
  { kind: "kill -9 engine", share: 0.5, mostMs: 1_000 },
  // A worker that hands back late has no better excuse than one that is dead.
  { kind: "kill -9 engine", share: 0.99, mostMs: TAKEOVER_MS },
];
const SHOWN_VIOLATIONS = 10;

/** What shells report for a program that ended by Ctrl-C: 128 + SIGINT. What it started dies with it. */
const INTERRUPTED = 130;

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
  process.once(signal, () => process.exit(INTERRUPTED));
const options = readOptions(process.argv.slice(2), Date.now());
console.log(`seed ${options.seed}`);
await findOrInstallRedis(console.log);
const broken = (await propertyTestBroke(options)) ? ["the property test of the lifecycle failed"] : [];
const folder = options.keepIn ?? (await mkdtemp(join(tmpdir(), "quern-chaos-")));
await mkdir(folder, { recursive: true });
const beganMs = performance.now();
const outcome = await runChaos(options, folder, (line) =>
  console.log(`${((performance.now() - beganMs) / 1_000).toFixed(1).padStart(6)} s  ${line}`),
);
console.log(`\n${table(outcome)}\n`);
broken.push(...brokenPromises(outcome));
for (const line of broken) console.log(line);
if (broken.length === 0) {
  if (options.keepIn === null) await rm(folder, { recursive: true, force: true });
  console.log(`All promises were kept (seed ${options.seed}).`);
} else {
  console.log(`${broken.length} promises were broken; ledger and logs: ${folder}`);
  console.log(`Replay: npm run test:chaos -- ${replayArguments(options.seed)}`);
  process.exitCode = 1;
}

/** What was given, and the seed where none was. */
function replayArguments(seed: number): string {
  const given = process.argv.slice(2);
  return [...given, ...(given.includes("--seed") ? [] : ["--seed", seed])].join(" ");
}

/** One line each. */
function brokenPromises({ verdict, unexpected, takeovers, accepted }: RunOutcome): string[] {
  const lines = verdict.violations
    .slice(0, SHOWN_VIOLATIONS)
    .map(
      ({ kind, jobId, what, details }) =>
        `${kind}: ${jobId}: ${what} ${JSON.stringify(details ?? "").slice(0, 600)}`,
    );
  if (verdict.violations.length > SHOWN_VIOLATIONS)
    lines.push(`… ${verdict.violations.length} violations in all`);
  for (const { what, details } of unexpected.slice(0, SHOWN_VIOLATIONS)) {
    lines.push(`${what} ${JSON.stringify(details ?? "").slice(0, 600)}`);
  }
  // Where several things are broken together nobody knows what a job waited for.
  for (const { kind, share, mostMs } of options.atOnce > 1 ? [] : MOST_WAITS) {
    const waitedMs = percentile(takeovers.get(kind) ?? [], share);
    if (!(waitedMs > mostMs)) continue;
    lines.push(
      `${kind}: p${share * 100} of the wait for another attempt is ${Math.round(waitedMs)} ms, ${mostMs} at most`,
    );
  }
  const ended = Object.values(verdict.byState).reduce((sum, count) => sum + count, 0);
  if (ended !== accepted) lines.push(`${accepted} were accepted, ${ended} are accounted for`);
  return lines;
}

async function propertyTestBroke({ propertyCommands, seed }: ChaosOptions): Promise<boolean> {
  if (propertyCommands === 0) return false;
  const tests = join(import.meta.dirname, "..", "..", "tools", "run-tests.ts");
  const child = spawn(process.execPath, [tests, "packages/shared/src/redis/lifecycle.property"], {
    cwd: join(import.meta.dirname, "..", ".."),
    stdio: "inherit",
    env: {
      ...process.env,
      QUERN_PROPERTY_COMMANDS: String(propertyCommands),
      QUERN_PROPERTY_SEED: String(seed),
    },
  });
  const [code] = await once(child, "exit");
  return code !== 0;
}
