import { writeGguf } from "./gguf-writer.ts";
import { type RandomModelOptions, randomModel } from "./random-model.ts";

/**
 * A model in two files, as llama.cpp's `gguf-split` leaves it: the first has all metadata and some tensors, the second
 * the rest. Returns the path of the first, `<prefix>-00001-of-00002.gguf`, which is the one to load.
 */
export async function writeSplitModel(prefix: string, options: RandomModelOptions = {}): Promise<string> {
  const { metadata, tensors } = randomModel(options);
  const half = Math.ceil(tensors.length / 2);
  const parts = [tensors.slice(0, half), tensors.slice(half)];
  const paths = parts.map((_, part) => `${prefix}-0000${part + 1}-of-00002.gguf`);
  for (const [part, path] of paths.entries()) {
    await writeGguf(path, {
      metadata: new Map([
        ...(part === 0 ? metadata : []),
        ["split.no", { uint16: part }],
        ["split.count", { uint16: parts.length }],
        ["split.tensors.count", { int32: tensors.length }],
      ]),
      tensors: parts[part] ?? [],
    });
  }
  return paths[0] ?? "";
}
