import { Command } from "commander";
import { expect, test } from "vitest";
import { type EngineFlags, engineFlags, engineVariables } from "./engine-flags.ts";

function parse(...args: string[]): EngineFlags {
  const command = engineFlags(new Command())
    .exitOverride()
    .configureOutput({ writeErr() {} });
  return command.parse(args, { from: "user" }).opts();
}

test("workers take the GPUs in turn", () => {
  const flags = parse("--gpu", "0", "--gpu", "1");
  expect([0, 1, 2].map((worker) => engineVariables(flags, worker).QUERN_GPU)).toEqual(["0", "1", "0"]);
  expect(engineVariables(parse("--gpu", "cpu"), 5)).toEqual({ QUERN_GPU: "cpu" });
});

test("each flag is its variable, and none is none", () => {
  const flags = parse(
    ..."--slots 3 --context-tokens 512 --kv-type q8_0 --gpu-layers auto --flash-attention on".split(" "),
  );
  expect(engineVariables(flags, 0)).toEqual({
    QUERN_SLOTS: "3",
    QUERN_CONTEXT_TOKENS: "512",
    QUERN_KV_TYPE: "q8_0",
    QUERN_GPU_LAYERS: "auto",
    QUERN_FLASH_ATTENTION: "on",
  });
  expect(engineVariables(parse(), 0)).toEqual({});
});

test.each([
  ["--slots", "0", /1 to 256/],
  ["--slots", "257", /1 to 256/],
  ["--kv-type", "q4_0", /f16, q8_0/],
  ["--gpu", "cuda:0", /must be a number as nvidia-smi counts, a UUID/],
  ["--gpu-layers", "-1", /whole number, max or auto/],
  ["--flash-attention", "maybe", /on, off, auto/],
])("%s %s is refused with what is allowed", (flag, value, message) => {
  expect(() => parse(flag, value)).toThrow(message);
});
