import { expect, test } from "vitest";
import { readEnv, toConfig } from "./config.ts";

test("the engine's variables, each as it is told", () => {
  const inherited = { QUERN_GPU: "0", PATH: "/bin" };
  const { engine, child } = toConfig(
    readEnv({
      ...inherited,
      QUERN_GPU_LAYERS: "12",
      QUERN_KV_TYPE: "q8_0",
      QUERN_FLASH_ATTENTION: "on",
      QUERN_LORAS: "/a/x=1.gguf,/b/y.gguf=0.5,z.gguf=-1",
      QUERN_LOAD_TIMEOUT_SECONDS: "5",
    }),
  );
  expect(engine).toMatchObject({ gpu: "0", gpuLayers: 12, kvType: "q8_0", flashAttention: "on" });
  expect(engine.loras).toEqual([
    { path: "/a/x=1.gguf", scale: 1 },
    { path: "/b/y.gguf", scale: 0.5 },
    { path: "z.gguf", scale: -1 },
  ]);
  expect(child.loadTimeoutMs).toBe(5_000);
  expect(child.environment).toMatchObject({ ...inherited, CUDA_VISIBLE_DEVICES: "0" });
});

test("what is not said is for the catalogue to say", () => {
  const { engine, child } = toConfig(readEnv({}));
  expect(engine).toMatchObject({
    gpu: null,
    gpuLayers: null,
    kvType: null,
    flashAttention: null,
    loras: null,
  });
  expect(child).toMatchObject({ loadTimeoutMs: 600_000, environment: {} });
});

test.each([
  ["QUERN_GPU", "gpu0", /QUERN_GPU: a number as nvidia-smi counts, a UUID/],
  ["QUERN_GPU_LAYERS", "many", /QUERN_GPU_LAYERS: max, auto, or how many layers/],
  ["QUERN_SLOTS", "257", /QUERN_SLOTS: .*256/],
  ["QUERN_RESERVED_SLOTS", "-1", /QUERN_RESERVED_SLOTS/],
  ["QUERN_LEASE_SECONDS", "1", /QUERN_LEASE_SECONDS: .*2/],
  ["QUERN_LOAD_TIMEOUT_SECONDS", "0", /QUERN_LOAD_TIMEOUT_SECONDS/],
])("%s=%s is refused", (name, value, message) => {
  expect(() => readEnv({ [name]: value })).toThrow(
    expect.objectContaining({ code: "config_invalid", message: expect.stringMatching(message) }),
  );
});

test("UUIDs of GPUs and of their slices", () => {
  for (const gpu of ["GPU-5a7f3c2e-1111", "MIG-5a7f3c2e-1111", "MIG-GPU-5a7f3c2e-1111/1/0"]) {
    expect(toConfig(readEnv({ QUERN_GPU: gpu })).child.environment).toMatchObject({
      CUDA_VISIBLE_DEVICES: gpu,
    });
  }
});
