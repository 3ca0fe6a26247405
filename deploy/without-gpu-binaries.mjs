// Takes llama.cpp's CUDA and Vulkan binaries (600 MB) out of package-lock.json, so that `npm ci` does not fetch
// them for an image that runs on CPUs. Everything else keeps its locked version and checksum.
//   usage: node without-gpu-binaries.mjs package-lock.json

import { readFileSync, writeFileSync } from "node:fs";

const GPU_BINARY = /^@node-llama-cpp\/.+-(cuda|cuda-ext|vulkan)$/;

const [path] = process.argv.slice(2);
const lock = JSON.parse(readFileSync(path, "utf8"));
const llama = lock.packages["node_modules/node-llama-cpp"];
const gpuBinaries = Object.keys(llama?.optionalDependencies ?? {}).filter((name) => GPU_BINARY.test(name));
if (gpuBinaries.length === 0)
  throw new Error(`${path} locks no GPU binaries of node-llama-cpp: has it renamed them?`);
for (const name of gpuBinaries) {
  delete llama.optionalDependencies[name];
  delete lock.packages[`node_modules/${name}`];
}
writeFileSync(path, `${JSON.stringify(lock, null, 2)}\n`);
