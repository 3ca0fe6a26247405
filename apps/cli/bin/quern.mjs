#!/usr/bin/env node
// `npx quern …`: the command line under the Node 24 that the lockfile brings.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const main = fileURLToPath(new URL("../src/main.ts", import.meta.url));
const locked = fileURLToPath(
  new URL(`../../../node_modules/node-linux-${process.arch}/bin/node`, import.meta.url),
);
const runtime = process.platform === "linux" && existsSync(locked) ? locked : process.execPath;
if (runtime === process.execPath && Number(process.versions.node.split(".")[0]) < 24) {
  console.error(`quern needs Node 24, this is ${process.versions.node}; 'npm ci' brings one on Linux`);
  process.exit(1);
}
const child = spawn(runtime, [main, ...process.argv.slice(2)], {
  stdio: ["inherit", "inherit", "inherit", "ipc"],
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
child.once("exit", (code, signal) => {
  process.exitCode = signal === null ? (code ?? 1) : 1;
});
