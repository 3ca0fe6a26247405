import { expect, test } from "vitest";
import { pinGpu } from "./pin-gpu.ts";

const pin = (gpu: string | null, environment: NodeJS.ProcessEnv = {}) => pinGpu(gpu, environment, "linux");

test("a number is one device for CUDA, HIP and Vulkan alike, counted as nvidia-smi does", () => {
  expect(pin("1", { PATH: "/bin" })).toEqual({
    PATH: "/bin",
    CUDA_DEVICE_ORDER: "PCI_BUS_ID",
    CUDA_VISIBLE_DEVICES: "1",
    HIP_VISIBLE_DEVICES: "1",
    GGML_VK_VISIBLE_DEVICES: "1",
  });
});

test("a UUID is for CUDA and HIP; Vulkan has none", () => {
  const uuid = "GPU-5a7f3c2e-1111-2222-3333-444455556666";
  expect(pin(uuid)).toMatchObject({ CUDA_VISIBLE_DEVICES: uuid, HIP_VISIBLE_DEVICES: uuid });
  expect(pin(uuid)).not.toHaveProperty("GGML_VK_VISIBLE_DEVICES");
});

test("the CPU, and no choice, leave the environment as it is", () => {
  expect(pin("cpu", { A: "1" })).toEqual({ A: "1" });
  expect(pin(null, { CUDA_VISIBLE_DEVICES: "3" })).toEqual({ CUDA_VISIBLE_DEVICES: "3" });
});

test("where the environment shows some devices only, numbers count among those", () => {
  const shown = { CUDA_VISIBLE_DEVICES: "4, 6" };
  expect(pin("1", shown)).toMatchObject({ CUDA_VISIBLE_DEVICES: "6" });
  // In the order that its list was written in.
  expect(pin("1", shown)).not.toHaveProperty("CUDA_DEVICE_ORDER");
  expect(() => pin("2", shown)).toThrow(
    expect.objectContaining({
      code: "config_invalid",
      message: expect.stringMatching(/asks for GPU 2, but CUDA_VISIBLE_DEVICES=4, 6 shows 2/),
    }),
  );
});

test("a Mac has one device", () => {
  expect(pinGpu("0", { A: "1" }, "darwin")).toEqual({ A: "1" });
  expect(() => pinGpu("1", {}, "darwin")).toThrow(/a Mac has the GPU 0 only/);
});
