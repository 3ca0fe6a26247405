import { createHash } from "node:crypto";
import { basename } from "node:path";
import { withoutSplitNumber } from "./gguf-split.ts";
import { fileNameOf, type ModelSource } from "./model-source.ts";

/** The alias of a model that stands in no catalogue: its file's name, made safe. */
export function adHocAlias(source: ModelSource, taken: ReadonlySet<string>): string {
  const alias = plainAlias(source);
  // The name alone would put two different models on one queue.
  return taken.has(alias) ? markedAlias(source) : alias;
}

export function isAdHocAlias(alias: string, source: ModelSource): boolean {
  return alias === plainAlias(source) || alias === markedAlias(source);
}

function plainAlias(source: ModelSource): string {
  const name = withoutSplitNumber(nameOf(source)).replace(/\.gguf$/, "");
  const safe = name.replace(/[^A-Za-z0-9._-]+/g, "-").replace(/^[^A-Za-z0-9]+/, "");
  return safe.slice(0, 64) || "model";
}

function markedAlias(source: ModelSource): string {
  const mark = createHash("sha256").update(JSON.stringify(source)).digest("hex").slice(0, 8);
  return `${plainAlias(source).slice(0, 55)}-${mark}`;
}

function nameOf(source: ModelSource): string {
  switch (source.kind) {
    case "path":
      return basename(source.path);
    case "url":
      return fileNameOf(source.url) ?? "model";
    case "hf":
      if (source.quantization.endsWith(".gguf")) return basename(source.quantization);
      return `${basename(source.repo).replace(/-GGUF$/i, "")}-${source.quantization}`;
  }
}
