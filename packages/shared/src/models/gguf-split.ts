/**
 * Large models come in numbered parts, `name-00001-of-00003.gguf`; llama.cpp is given the first and finds the rest
 * beside it.
 */
const SPLIT = /-(\d{5})-of-(\d{5})(?=\.gguf$)/;

export function withoutSplitNumber(fileName: string): string {
  return fileName.replace(SPLIT, "");
}

/** The paths of all parts, in order; just the file itself when it is whole. */
export function splitParts(path: string): string[] {
  const count = Number(SPLIT.exec(path)?.[2] ?? 1);
  return Array.from({ length: count }, (_, index) =>
    path.replace(
      SPLIT,
      (_match, _number, total: string) => `-${String(index + 1).padStart(5, "0")}-of-${total}`,
    ),
  );
}
