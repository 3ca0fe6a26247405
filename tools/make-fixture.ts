import { parseArgs } from "node:util";
import { ARCHITECTURES, type Architecture } from "@quern/testing/gguf/architecture";
import {
  writeBadMagicModel,
  writeNanModel,
  writeTruncatedModel,
  writeUnknownArchitectureModel,
} from "@quern/testing/gguf/damaged-models";
import { writePoisonModel } from "@quern/testing/gguf/poison-model";
import { TENSOR_TYPES, type TensorType } from "@quern/testing/gguf/quantize";
import { QWEN3_0_6B, writeRandomModel } from "@quern/testing/gguf/random-model";
import { writeScriptedModel } from "@quern/testing/gguf/scripted-model";

const USAGE = `Writes a GGUF model for tests.

  node tools/make-fixture.ts <kind> <out.gguf> [options]

kinds
  random         nonsense that its seed determines
                   --architecture ${ARCHITECTURES.join("|")} (qwen3)
                   --weights ${Object.keys(TENSOR_TYPES).join("|")} (f32)   --layers N (2)   --seed N (1)
  qwen3-0.6b     random weights in the exact shape of Qwen3-0.6B, Q4_0, 341 MB: for measurements   --seed N (1)
  scripted       says --text to every prompt, like --text '<think>hm</think>Paris'
                   --architecture … (qwen3)   --repeat: for ever
  poison         loads, then kills its process (SIGABRT) at the first decode
  nan            all weights NaN
  truncated      ends in its middle
  bad-magic      does not begin with GGUF
  unknown        names an architecture that llama.cpp doesn't know
`;

type Options = ReturnType<typeof readArguments>["values"];

const WRITERS: Record<string, (path: string, options: Options) => Promise<unknown>> = {
  random: (path, { seed, layers, ...options }) =>
    writeRandomModel(path, {
      architecture: oneOf<Architecture>("architecture", options.architecture, ARCHITECTURES),
      weights: oneOf<TensorType>("weights", options.weights, Object.keys(TENSOR_TYPES) as TensorType[]),
      layers: wholeNumber("layers", layers),
      seed: wholeNumber("seed", seed),
    }),
  "qwen3-0.6b": (path, { seed }) =>
    writeRandomModel(path, { ...QWEN3_0_6B, seed: wholeNumber("seed", seed) }),
  scripted: (path, { text, repeat, architecture, seed }) =>
    writeScriptedModel(path, {
      text: text ?? fail("scripted needs --text"),
      ending: repeat ? "repeat" : "stop",
      architecture: oneOf<Architecture>("architecture", architecture, ARCHITECTURES),
      seed: wholeNumber("seed", seed),
    }),
  poison: writePoisonModel,
  nan: writeNanModel,
  truncated: (path) => writeTruncatedModel(path),
  "bad-magic": writeBadMagicModel,
  unknown: writeUnknownArchitectureModel,
};

function readArguments() {
  return parseArgs({
    allowPositionals: true,
    options: {
      architecture: { type: "string", default: "qwen3" },
      help: { type: "boolean", short: "h", default: false },
      layers: { type: "string", default: "2" },
      repeat: { type: "boolean", default: false },
      seed: { type: "string", default: "1" },
      text: { type: "string" },
      weights: { type: "string", default: "f32" },
    },
  });
}

async function main(): Promise<void> {
  const { values, positionals } = readArguments();
  if (values.help) {
    console.log(USAGE);
    return;
  }
  const [kind = "", path, ...rest] = positionals;
  const write = WRITERS[kind] ?? fail(`there is no kind "${kind}"`);
  if (path === undefined || rest.length > 0) fail("give one file to write");
  await write(path, values);
  console.log(`wrote ${path}`);
}

function oneOf<T extends string>(option: string, value: string, allowed: readonly T[]): T {
  return (
    allowed.find((candidate) => candidate === value) ?? fail(`--${option} is one of ${allowed.join(", ")}`)
  );
}

function wholeNumber(option: string, value: string): number {
  return /^\d+$/.test(value) && Number(value) > 0
    ? Number(value)
    : fail(`--${option} is a whole number above 0`);
}

function fail(reason: string): never {
  throw new Error(`${reason} (--help tells more)`);
}

main().catch((error: Error) => {
  console.error(`make-fixture: ${error.message}`);
  process.exitCode = 1;
});
