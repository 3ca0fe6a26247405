import { resolve } from "node:path";

/** Where a model's file comes from. `path` is absolute. */
export type ModelSource =
  | { kind: "path"; path: string }
  | { kind: "hf"; repo: string; quantization: string }
  | { kind: "url"; url: string };

export const SOURCE_FORMS =
  "the path of a .gguf file, hf:<owner>/<repo>:<quantization> (like hf:Qwen/Qwen3-8B-GGUF:Q4_K_M) or https://…/file.gguf";

/** `<owner>/<repo>:<quantization or file name>`. */
const HF_SPEC = /^([A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*):([\w.-][\w./-]*)$/;

/** Paths are taken from `baseDir`. null: the text is none of the forms. */
export function parseModelSource(text: string, baseDir: string): ModelSource | null {
  if (text.startsWith("hf:")) {
    const [, repo, quantization] = HF_SPEC.exec(text.slice(3)) ?? [];
    if (repo === undefined || quantization === undefined || quantization.split("/").includes(".."))
      return null;
    return { kind: "hf", repo, quantization };
  }
  if (/^https?:\/\//.test(text)) {
    return URL.canParse(text) && fileNameOf(text) !== null ? { kind: "url", url: text } : null;
  }
  return text.endsWith(".gguf") || /^\.{0,2}\//.test(text)
    ? { kind: "path", path: resolve(baseDir, text) }
    : null;
}

/** For people: without what a URL may hide. Two sources can read alike; compare them with `isSameSource`. */
export function describeModelSource(source: ModelSource): string {
  switch (source.kind) {
    case "path":
      return source.path;
    case "hf":
      return `hf:${source.repo}:${source.quantization}`;
    case "url":
      return withoutSecrets(source.url);
  }
}

export function isSameSource(a: ModelSource, b: ModelSource): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** The last part of a URL's path, when it names a GGUF file. */
export function fileNameOf(url: string): string | null {
  return /([\w.-]+\.gguf)$/.exec(new URL(url).pathname)?.[1] ?? null;
}

/** Signed links carry their signature in the query; credentials may stand before the host. */
export function withoutSecrets(url: string): string {
  const { origin, pathname } = new URL(url);
  return origin + pathname;
}
