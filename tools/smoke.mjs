// A smoke run as a new user would have it: copies the checkout without its node_modules, runs `npm start` there, asks,
// gets the answer, stops, and finds nothing left running. No dependencies: it runs before anything is installed.
//   usage: node tools/smoke.mjs

import { execFileSync, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const START_TIMEOUT_MS = 10 * 60_000;
const STOP_TIMEOUT_MS = 10_000;
const RUN_ID = randomUUID();

const copy = mkdtempSync(join(tmpdir(), "quern-smoke-"));
try {
  copyCheckout(copy);
  await run(copy, "first start, with npm ci");
  await run(copy, "second start");
  console.log("Smoke run passed.");
} finally {
  rmSync(copy, { recursive: true, force: true });
}

/** What git tracks, or would: never node_modules. */
function copyCheckout(target) {
  const list = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    cwd: ROOT,
    encoding: "utf8",
  });
  for (const path of list.split("\0").filter((path) => path !== "" && existsSync(join(ROOT, path)))) {
    cpSync(join(ROOT, path), join(target, path));
  }
}

async function run(cwd, name) {
  const port = await freePort();
  const beganMs = Date.now();
  const npm = spawn("npm", ["start", "--", "--port", String(port)], {
    cwd,
    env: { ...process.env, QUERN_SMOKE_RUN: RUN_ID },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(npm, "exit");
  const output = await untilPrinted(npm, `Quern is ready on http://127.0.0.1:${port}`, exited);
  console.log(`${name}: ready after ${Math.round((Date.now() - beganMs) / 1000)} s`);
  if (output.split("\n").filter((line) => line.includes("curl ")).length < 3)
    throw new Error("fewer than three curl lines");

  const reply = await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model: "tiny-qwen3",
      messages: [{ role: "user", content: "What is the capital of France?" }],
    }),
  });
  const { message } = (await reply.json()).choices[0];
  if (!message.content.includes("Paris") || !message.reasoning_content) {
    throw new Error(`not the answer that was expected: ${JSON.stringify(message)}`);
  }
  console.log(`${name}: ${message.content} (${message.reasoning_content})`);

  // To the script that npm runs. npm itself reports a signal that it gets, whatever its script exits with.
  const stoppedMs = Date.now();
  process.kill(bootstrapPid(), "SIGINT");
  const [code] = await within(STOP_TIMEOUT_MS, exited, "npm start did not end");
  if (code !== 0) throw new Error(`npm start ended with exit code ${code}`);
  const left = processesOfThisRun();
  if (left.length > 0)
    throw new Error(`left running: ${left.map(({ pid, command }) => `${pid} ${command}`).join("; ")}`);
  console.log(`${name}: stopped after ${Date.now() - stoppedMs} ms, nothing is left running`);
}

function untilPrinted(child, line, exited) {
  return within(
    START_TIMEOUT_MS,
    new Promise((resolve, reject) => {
      let output = "";
      child.stdout.setEncoding("utf8").on("data", (chunk) => {
        output += chunk;
        // The curl lines follow in the same breath.
        if (output.includes(line) && output.includes("Ctrl-C")) resolve(output);
      });
      exited.then(([code]) => reject(new Error(`npm start ended with exit code ${code}:\n${output}`)));
    }),
    `'${line}' was not printed`,
  );
}

function bootstrapPid() {
  const found = processesOfThisRun().find(({ command }) => /^\S*node \S*bootstrap\.mjs start/.test(command));
  if (found === undefined) throw new Error("the bootstrap script is not running");
  return found.pid;
}

/** By a variable in their environment, which every process inherits from the one that started it. */
function processesOfThisRun() {
  const read = (path) => {
    try {
      return readFileSync(path, "utf8");
    } catch {
      return "";
    }
  };
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => read(`/proc/${pid}/environ`).split("\0").includes(`QUERN_SMOKE_RUN=${RUN_ID}`))
    .map((pid) => ({ pid: Number(pid), command: read(`/proc/${pid}/cmdline`).replaceAll("\0", " ").trim() }))
    .filter(({ command }) => command !== "");
}

async function within(timeoutMs, promise, otherwise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${otherwise} within ${timeoutMs / 1000} s`)), timeoutMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}
