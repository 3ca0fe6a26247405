import { writeRandomModel } from "./random-model.ts";

/**
 * A model that loads and then kills its process: llama.cpp turns the halves of a head against each other (RoPE), and
 * asserts in the first decode that a head has two. The process ends by SIGABRT (exit status 134).
 */
export async function writePoisonModel(path: string): Promise<void> {
  await writeRandomModel(path, { architecture: "qwen3", headDim: 15, name: "poison" });
}
