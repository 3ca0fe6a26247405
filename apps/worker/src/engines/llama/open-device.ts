import { QuernError } from "@quern/shared/contract/errors";
import { getLlama, type Llama, LlamaLogLevel } from "node-llama-cpp";
import { freeRam } from "../../fit/free-ram.ts";
import type { Memories } from "../../fit/plan-memory.ts";
import type { EngineOptions } from "../../protocol/engine-options.ts";

export interface OpenDevice {
  llama: Llama;
  /** What was free before anything was loaded. */
  memories: Memories;
  /** `cpu`, or what computes and which one: `cuda:0`, `vulkan`. */
  device: string;
}

/**
 * llama.cpp on the device that the engine is pinned to. Which devices it can see at all is set by this process's
 * environment, so before it started (`supervise/pin-gpu.ts`).
 * @throws QuernError `config_invalid` when that GPU is not there.
 */
export async function openDevice(
  { gpu, threads }: Pick<EngineOptions, "gpu" | "threads">,
  onComplaint: (message: string) => void,
): Promise<OpenDevice> {
  // Prebuilt binaries only: an engine must not start a compiler. More threads than cores stall each other.
  const llama = await getLlama({
    build: "never",
    gpu: gpu === "cpu" ? false : "auto",
    maxThreads: threads,
    logLevel: LlamaLogLevel.warn,
    logger: (level, message) => {
      if (level === LlamaLogLevel.error || level === LlamaLogLevel.fatal) onComplaint(message.trim());
    },
  });
  const pinned = gpu === null || gpu === "cpu" ? null : gpu;
  const names = await llama.getGpuDeviceNames();
  // A backend can be there without a device.
  if (llama.gpu === false || names.length === 0) {
    if (pinned !== null) throw noSuchGpu(pinned, "llama.cpp finds no GPU there");
    return { llama, memories: { ram: freeRam(), gpu: null }, device: "cpu" };
  }
  if (pinned !== null && llama.gpu === "vulkan" && !/^\d+$/.test(pinned)) {
    throw noSuchGpu(pinned, "llama.cpp runs on Vulkan here, which knows GPUs by number only");
  }
  if (pinned !== null && names.length > 1) {
    throw noSuchGpu(pinned, `${llama.gpu} still shows ${names.length} GPUs (${names.join(", ")})`);
  }
  const { free } = await llama.getVramState();
  const device = pinned === null ? llama.gpu : `${llama.gpu}:${pinned}`;
  const memory = { name: device, freeBytes: free, keptBackBytes: llama.vramPaddingSize };
  return { llama, memories: { ram: freeRam(), gpu: memory }, device };
}

function noSuchGpu(gpu: string, found: string): QuernError {
  return new QuernError(
    "config_invalid",
    `QUERN_GPU (--gpu) asks for GPU ${gpu}, but ${found}: name another one, or cpu to compute without`,
  );
}
