import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, expect, test } from "vitest";

const running = new Set<ChildProcess>();

afterEach(async () => {
  for (const child of running) {
    child.kill("SIGKILL");
    await once(child, "exit");
  }
});

function bench(...args: string[]) {
  const child = spawn(process.execPath, [join(import.meta.dirname, "main.ts"), ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  running.add(child);
  child.once("exit", () => running.delete(child));
  return child;
}

async function outcome(...args: string[]) {
  const child = bench(...args);
  const ended = once(child, "close");
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const [code] = await ended;
  return { code, stdout, stderr };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

test("figures are complete JSON on stdout, progress is on stderr", async () => {
  const args = "engine --model tiny --slots 2 --tokens 8 --repeat 3 --baseline --json";
  const { code, stdout, stderr } = await outcome(...args.split(" "));
  expect(stderr).toContain("2 slots, quern: round 3 of 3");
  expect(code).toBe(0);
  const { machine, options, figures } = JSON.parse(stdout);
  expect(machine).toEqual({
    cpu: expect.any(String),
    cores: expect.any(Number),
    node: process.version,
    loadAverage: expect.any(Number),
  });
  expect(options).toMatchObject({ scenario: "engine", model: "tiny", slots: [2], tokens: 8, threads: 1 });
  expect(figures).toHaveLength(1);
  const { slots, contenders } = figures[0];
  expect(slots).toBe(2);
  expect(contenders.map(({ name }: { name: string }) => name)).toEqual(["quern", "completion", "evaluate"]);
  for (const { name, llamaCpp, rounds, median, ratioTo } of contenders) {
    expect(llamaCpp).toMatch(/\d/);
    expect(rounds).toHaveLength(3);
    for (const figure of [...rounds, median]) {
      expect(Object.keys(figure)).toEqual([
        "tokens",
        "decodeTokensPerSecond",
        "totalTokensPerSecond",
        "cpuMsPerToken",
        "ttftP50Ms",
        "ttftP99Ms",
        "maxDecodeGapMs",
        "stepFill",
        "idRunsPerStep",
      ]);
      // The library's completion ends where it likes.
      if (name !== "completion") expect(figure.tokens).toBe(16);
      expect(figure.totalTokensPerSecond).toBeGreaterThan(0);
      expect(figure.cpuMsPerToken).toBeGreaterThan(0);
      expect(figure.ttftP99Ms).toBeGreaterThanOrEqual(figure.ttftP50Ms);
    }
    const notMeasured = { decode: null, total: null, cpu: null };
    expect(ratioTo).toEqual({
      "quern-against": notMeasured,
      "llama-server": notMeasured,
      "llama-server-stream": notMeasured,
    });
  }
});

test("a prompt that arrives among streams, and jobs that share prompts, print tables", async () => {
  const gap = await outcome(
    ..."prefill-gap --model tiny --streams 2 --prompt-tokens 100 --repeat 1".split(" "),
  );
  expect(gap).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/longest gap ms[\s\S]*\nquern +[\d.]+/),
  });
  const prefix = await outcome(..."prefix --model tiny --slots 2 --jobs 6".split(" "));
  expect(prefix).toMatchObject({ code: 0, stdout: expect.stringMatching(/jobs\/s[\s\S]*\nquern +[\d.]+%/) });
});

test("the engine of another checkout is measured in turns with this one's", async () => {
  const other = join(import.meta.dirname, "engine", "contender-child.ts");
  const args = "engine --model tiny --slots 2 --tokens 8 --repeat 2 --json --against";
  const { code, stdout, stderr } = await outcome(...args.split(" "), other);
  expect(code).toBe(0);
  expect(stderr).toContain("2 slots, quern-against: round 2 of 2");
  const [quern, against] = JSON.parse(stdout).figures[0].contenders;
  expect([quern.name, against.name]).toEqual(["quern", "quern-against"]);
  expect(quern.ratioTo["quern-against"].total).toBeGreaterThan(0);
  expect(against.ratioTo["quern-against"].cpu).toBe(1);
});

test("bad arguments: one line and its cure, nothing on stdout", async () => {
  const { code, stdout, stderr } = await outcome("engine", "--model", "no-such-model");
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  expect(stderr).toBe(
    "bench: there is no file no-such-model: --model takes a GGUF file, or one of qwen3-0.6b, moe, tiny\n",
  );
});

test("Ctrl-C ends it and its children", async () => {
  const child = bench(..."engine --model tiny --slots 2 --repeat 1000000 --baseline".split(" "));
  const ended = once(child, "close");
  child.stdout.resume();
  await new Promise<void>((resolve) => {
    let told = "";
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
      told += chunk;
      if (told.includes("round 1 of")) resolve();
    });
  });
  const children = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8")
    .trim()
    .split(" ")
    .map(Number);
  expect(children).toHaveLength(3);
  child.kill("SIGINT");
  expect(await ended).toEqual([130, null]);
  expect(children.filter(isAlive)).toEqual([]);
});

test("attention is measured both ways, behind each length of cache, for each part", async () => {
  const args = "attention --model tiny --slots 2 --depths 8,40 --parts 4,64 --repeat 1 --json";
  const { code, stdout } = await outcome(...args.split(" "));
  expect(code).toBe(0);
  const { figures } = JSON.parse(stdout);
  expect(
    figures.map(({ flashAttention, depth }: Record<string, unknown>) => [flashAttention, depth]),
  ).toEqual([
    ["on", 8],
    ["on", 40],
    ["off", 8],
    ["off", 40],
  ]);
  for (const { decodeMs, partMs } of figures) {
    expect([decodeMs, ...partMs].every((ms) => ms > 0)).toBe(true);
    expect(partMs).toHaveLength(2);
  }
});

test("what submitters are told about their jobs is compared with what comes, over a whole cluster", async () => {
  const { code, stdout } = await outcome(..."eta --slots 4 --jobs 40 --repeat 1 --json".split(" "));
  expect(code).toBe(0);
  const { figures } = JSON.parse(stdout.slice(stdout.indexOf("{")));
  expect(figures).toMatchObject({ model: "tiny-qwen3", rounds: [{ jobs: expect.any(Number) }] });
  const [{ jobs, start, end }] = figures.rounds;
  expect(jobs).toBeGreaterThan(0);
  for (const share of [start.beforeP50, start.beforeP90, end.beforeP50, end.beforeP90]) {
    expect(share).toBeGreaterThanOrEqual(0);
    expect(share).toBeLessThanOrEqual(1);
  }
  expect(start.beforeP90).toBeGreaterThanOrEqual(start.beforeP50);
});

test("small chats are measured beside a stream with many readers, over a whole cluster", async () => {
  const args = "readers --readers 20 --rate 20 --chats 3 --slots 2 --repeat 1 --json";
  const { code, stdout } = await outcome(...args.split(" "));
  expect(code).toBe(0);
  const { rounds } = JSON.parse(stdout.slice(stdout.indexOf("{"))).figures;
  expect(rounds).toHaveLength(1);
  const [{ alone, beside, cpuUsPerEvent, delivered }] = rounds;
  for (const { ttftP50Ms, ttftP99Ms, gapP50Ms } of [alone, beside]) {
    expect(ttftP99Ms).toBeGreaterThanOrEqual(ttftP50Ms);
    expect(gapP50Ms).toBeGreaterThan(0);
  }
  expect(cpuUsPerEvent).toBeGreaterThan(0);
  // The edges of the window may count an event more or less for each reader.
  expect(delivered).toBeGreaterThan(0.5);
}, 120_000);

test("batches are measured part by part, each over clusters of its own", async () => {
  const args = "batch --part overhead,volume,prefix --percent 1 --slots 2 --model tiny --repeat 1 --json";
  const { code, stdout, stderr } = await outcome(...args.split(" "));
  expect(stderr).toContain("overhead: 8 to 24 tokens each: bare, round 1 of 1");
  expect(code).toBe(0);
  const { overhead, volume, prefix } = JSON.parse(stdout.slice(stdout.indexOf("{"))).figures;
  expect(overhead.map(({ work, lines }: Record<string, unknown>) => [work, lines])).toEqual([
    ["reviews, a word each", 40],
    ["8 to 24 tokens each", 8],
    ["48 to 144 tokens each", 8],
  ]);
  for (const { rounds, ratio } of overhead) {
    expect(ratio.lines).toBeGreaterThan(0);
    expect(ratio.whole).toBeLessThanOrEqual(ratio.lines);
    const [{ bare, batch }] = rounds;
    for (const { busyShare } of [bare, batch]) expect(busyShare).toBeLessThan(1.05);
  }
  expect(volume.rounds.map(({ lines }: { lines: number }) => lines)).toEqual([100, 500]);
  expect(Object.keys(volume.peakRatio).sort()).toEqual(["gateway", "redis", "scheduler", "worker"]);
  expect(prefix.rounds[0].planned.cachedShare).toBeGreaterThan(0);
}, 240_000);

test("a small chat is measured alone and beside each hostile request", async () => {
  const args = "hostile-prompts --prompt tools,schema --slots 2 --requests 3 --repeat 1 --json";
  const { code, stdout, stderr } = await outcome(...args.split(" "));
  expect(stderr).toContain("schema, round 1 of 1: beside the hostile client");
  expect(code).toBe(0);
  const { figures } = JSON.parse(stdout.slice(stdout.indexOf("{")));
  expect(figures.map(({ prompt }: { prompt: string }) => prompt)).toEqual(["tools", "schema"]);
  for (const { bodyBytes, rounds } of figures) {
    expect(bodyBytes).toBeGreaterThan(1_000);
    const [{ alone, beside, hostile }] = rounds;
    expect(alone).toMatchObject({ requests: 3, timedOut: 0, failures: {} });
    expect(alone.ttftP99Ms).toBeGreaterThanOrEqual(alone.ttftP50Ms);
    expect(beside.requests).toBeGreaterThanOrEqual(3);
    expect(hostile.requests).toBeGreaterThan(0);
    expect(hostile.tookMedianMs).toBeGreaterThan(0);
  }
}, 120_000);
