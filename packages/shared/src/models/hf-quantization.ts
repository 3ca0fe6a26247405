import { basename } from "node:path";
import { splitParts, withoutSplitNumber } from "./gguf-split.ts";

/**
 * The files of a repository that hold one quantization, the parts of a split one in order. `quantization` may also be
 * a file's whole name, for repositories that keep more than one model.
 */
export function filesOfQuantization(files: readonly string[], quantization: string): string[] {
  const wanted = quantization.toLowerCase();
  const matching = files.filter((file) => {
    const whole = withoutSplitNumber(file).toLowerCase();
    if (wanted.endsWith(".gguf")) return file.toLowerCase() === wanted || whole === wanted;
    // The vision projector that stands beside a model is not the model.
    if (basename(whole).startsWith("mmproj")) return false;
    return /^$|[-./]/.test(whole.at(-wanted.length - 6) ?? "") && whole.endsWith(`${wanted}.gguf`);
  });
  // `UD-Q4_K_XL` ends like `Q4_K_XL`: the shortest name is the plain one.
  const [first] = matching.sort((a, b) => a.length - b.length || (a < b ? -1 : 1));
  return first === undefined ? [] : splitParts(first).filter((part) => files.includes(part));
}

/** What a repository has to offer, for a message that helps. */
export function quantizationsOf(files: readonly string[]): string[] {
  const names = files
    .filter((file) => file.endsWith(".gguf") && !basename(file).startsWith("mmproj"))
    .map((file) => /[-.]([A-Za-z]*\d\w*|bf16)\.gguf$/i.exec(withoutSplitNumber(file))?.[1] ?? basename(file));
  return [...new Set(names)].sort();
}
