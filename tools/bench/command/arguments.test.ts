import { expect, test } from "vitest";
import { readArguments } from "./arguments.ts";

test("without options a scenario has its own defaults", () => {
  expect(readArguments(["engine"])).toEqual({
    scenario: "engine",
    model: "qwen3-0.6b",
    threads: 1,
    repeat: 5,
    llamaServer: null,
    output: "tables",
    slots: [1, 4, 8, 16, 32],
    tokens: 64,
    promptTokens: 16,
    baseline: "none",
    against: null,
  });
  expect(readArguments(["prefill-gap"])).toMatchObject({ streams: 8, promptTokens: 2048, repeat: 3 });
  expect(readArguments(["prefix"])).toMatchObject({ slots: 8, jobs: 200, repeat: 1 });
  const model = expect.stringContaining("tiny-qwen3");
  expect(readArguments(["eta"])).toMatchObject({ model, slots: 8, jobs: 400, repeat: 3 });
  expect(readArguments(["preemption"])).toMatchObject({ model: "tiny", slots: 8, requests: 200, gapMs: 50 });
  expect(readArguments(["readers"])).toMatchObject({
    model,
    slots: 8,
    readers: 1_000,
    perSecond: 25,
    chats: 50,
    repeat: 3,
  });
});

test("a batch is measured in all its parts, or in those that are named", () => {
  const whole = { parts: ["overhead", "volume", "mixed", "prefix", "fairness"], slots: 8, percent: 100 };
  expect(readArguments(["batch"])).toMatchObject({
    scenario: "batch",
    model: "qwen3-0.6b",
    ...whole,
    repeat: 3,
  });
  const some = ["batch", "--part", "mixed,prefix", "--percent", "5"];
  expect(readArguments(some)).toMatchObject({ parts: ["mixed", "prefix"], percent: 5 });
});

test("hostile requests are sent one after the other, or those that are named", () => {
  expect(readArguments(["hostile-prompts"])).toMatchObject({
    scenario: "hostile-prompts",
    model: expect.stringContaining("tiny-qwen3"),
    prompts: ["20k-messages", "letters", "prose", "four-letters", "tools", "schema", "100k-messages"],
    slots: 8,
    threads: 1,
    requests: 100,
    repeat: 3,
  });
  const some = ["hostile-prompts", "--prompt", "schema,tools", "--requests", "5"];
  expect(readArguments(some)).toMatchObject({ prompts: ["schema", "tools"], requests: 5 });
});

test("options are read", () => {
  const args = "engine --model moe --slots 2,3 --threads 2 --tokens 9 --repeat 4 --json --baseline";
  const files = ["--llama-server", "bin/llama-server", "--against", "/before/contender-child.ts"];
  expect(readArguments([...args.split(" "), ...files])).toMatchObject({
    model: "moe",
    slots: [2, 3],
    threads: 2,
    tokens: 9,
    repeat: 4,
    output: "json",
    baseline: "library",
    against: "/before/contender-child.ts",
    llamaServer: "bin/llama-server",
  });
});

test.each([
  { args: [], tells: "scenarios" },
  { args: ["--help"], tells: "scenarios" },
  { args: ["engine", "--help"], tells: "--baseline" },
  { args: ["prefill-gap", "-h"], tells: "--streams" },
  { args: ["prefix", "--help"], tells: "--jobs" },
  { args: ["eta", "--help"], tells: "--jobs" },
  { args: ["preemption", "--help"], tells: "--gap" },
  { args: ["hostile-prompts", "--help"], tells: "--prompt" },
  { args: ["readers", "--help"], tells: "--rate" },
])("help: $args", ({ args, tells }) => {
  const command = readArguments(args);
  expect(command.scenario).toBe("help");
  expect("text" in command && command.text).toContain(tells);
  expect("text" in command && command.text).toContain("--llama-server");
});

test.each([
  { args: ["speed"], says: "no scenario speed" },
  { args: ["engine", "--slots", "1,x"], says: "--slots takes whole numbers from 1 on, not x" },
  { args: ["engine", "--slots", "1,,2"], says: "--slots takes whole numbers from 1 on, not nothing" },
  { args: ["engine", "--tokens", "1"], says: "--tokens takes whole numbers from 2 on, not 1" },
  { args: ["prefix", "--repeat", "0"], says: "--repeat takes whole numbers from 1 on, not 0" },
  { args: ["prefix", "--baseline"], says: "prefix --help" },
  { args: ["eta", "--llama-server", "x"], says: "eta measures no llama-server" },
  { args: ["batch", "--llama-server", "x"], says: "batch measures no llama-server" },
  { args: ["batch", "--part", "overhead,speed"], says: "--part takes overhead, volume" },
  { args: ["hostile-prompts", "--llama-server", "x"], says: "hostile-prompts measures no llama-server" },
  { args: ["hostile-prompts", "--prompt", "spam"], says: "--prompt takes 20k-messages, letters" },
  { args: ["batch", "--percent", "0"], says: "--percent takes whole numbers from 1 on" },
  { args: ["engine", "leftover"], says: "leftover" },
])("bad arguments get one error with its cure: $args", ({ args, says }) => {
  expect(() => readArguments(args)).toThrow(
    expect.objectContaining({ code: "config_invalid", message: expect.stringContaining(says) }),
  );
});
