import { QuernError } from "@quern/shared/contract/errors";

/**
 * The environment in which an engine child sees one GPU only: neither llama.cpp's interface nor the library's can choose
 * one. `gpu` is a number as nvidia-smi counts, a UUID (`GPU-…`, `MIG-…`), `cpu`, or null for all there are. Where the
 * environment already shows only some GPUs, numbers count among those, as CUDA's own do.
 * @throws QuernError `config_invalid` for a number beyond those, or anything but 0 on Metal, which has one device.
 */
export function pinGpu(
  gpu: string | null,
  environment: NodeJS.ProcessEnv,
  platform: NodeJS.Platform = process.platform,
): NodeJS.ProcessEnv {
  if (gpu === null || gpu === "cpu") return environment;
  if (platform === "darwin") {
    if (gpu === "0") return environment;
    throw new QuernError(
      "config_invalid",
      `QUERN_GPU (--gpu) asks for GPU ${gpu}: a Mac has the GPU 0 only, or cpu`,
    );
  }
  const visible = environment.CUDA_VISIBLE_DEVICES;
  return {
    ...environment,
    // CUDA's own order is the fastest first, unlike nvidia-smi's.
    ...(visible === undefined ? { CUDA_DEVICE_ORDER: "PCI_BUS_ID" } : {}),
    CUDA_VISIBLE_DEVICES: choose(gpu, "CUDA_VISIBLE_DEVICES", visible),
    HIP_VISIBLE_DEVICES: choose(gpu, "HIP_VISIBLE_DEVICES", environment.HIP_VISIBLE_DEVICES),
    // Vulkan knows numbers only.
    ...(isNumber(gpu)
      ? {
          GGML_VK_VISIBLE_DEVICES: choose(
            gpu,
            "GGML_VK_VISIBLE_DEVICES",
            environment.GGML_VK_VISIBLE_DEVICES,
          ),
        }
      : {}),
  };
}

function choose(gpu: string, variable: string, visible: string | undefined): string {
  if (!isNumber(gpu) || visible === undefined || visible === "") return gpu;
  const devices = visible.split(",").map((device) => device.trim());
  const device = devices[Number(gpu)];
  if (device !== undefined) return device;
  throw new QuernError(
    "config_invalid",
    `QUERN_GPU (--gpu) asks for GPU ${gpu}, but ${variable}=${visible} shows ${devices.length}: count from 0 among those`,
  );
}

function isNumber(gpu: string): boolean {
  return /^\d+$/.test(gpu);
}
