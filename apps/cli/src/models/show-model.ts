import { relative } from "node:path";
import type { CatalogueEntry } from "@quern/shared/models/catalogue-schema";
import { estimateMemory, kvBytesPerTokenF16 } from "@quern/shared/models/memory-estimate";
import { findModelFile, modelFileBytes } from "@quern/shared/models/model-files";
import { servedQuantization, sizeOf } from "@quern/shared/models/model-size";
import { describeModelSource, type ModelSource } from "@quern/shared/models/model-source";
import { formatBytes, formatGib, formatModelSize, formatParameters } from "./format-size.ts";

const LABEL_WIDTH = 18;

/** All that is known of one model, a fact a line; what is not known has no line. */
export async function showModel(entry: CatalogueEntry, cacheDir: string): Promise<string> {
  const path = await findModelFile(entry, { cacheDir });
  const hereBytes = path === null ? null : await modelFileBytes(path);
  const facts: [label: string, value: string | null][] = [
    ["alias", entry.alias],
    ["also called", entry.aliases.join(", ") || null],
    ["family", entry.family],
    ["kind", entry.kind],
    ["source", sourceText(entry.source)],
    ["on this machine", hereBytes === null ? "no" : `${formatBytes(hereBytes)}, ${path}`],
    ["sha256", entry.sha256],
    ["parameters", entry.parameters && formatParameters(entry.parameters)],
    ["quantizations", quantizationsText(entry)],
    ["context", contextText(entry)],
    [
      "serves",
      `${entry.contextTokens.toLocaleString("en")} tokens × ${entry.slots} slots, KV in ${entry.kvType}`,
    ],
    ["KV per token", entry.attention && `${kvBytesPerTokenF16(entry.attention) / 1024} KiB in f16`],
    ["memory", memoryText(entry, hereBytes)],
    ["thinking", entry.thinking],
    ["tool calls", entry.toolCalls],
    ["fills the middle", entry.fillInTheMiddle ? "yes" : "no"],
    ["sampling", samplingText(entry)],
    ...Object.entries(entry.goodFor).map(([purpose, { level, reason }], position): [string, string] => [
      position === 0 ? "good for" : "",
      `${purpose} (${level}): ${reason}`,
    ]),
    ["threads", entry.maxThreads === null ? null : `at most ${entry.maxThreads}`],
  ];
  return facts
    .filter(([, value]) => value !== null)
    .map(([label, value]) => `${label.padEnd(LABEL_WIDTH)}${value}\n`)
    .join("");
}

function sourceText(source: ModelSource): string {
  return source.kind === "path" ? relative(process.cwd(), source.path) : describeModelSource(source);
}

function quantizationsText(entry: CatalogueEntry): string | null {
  const texts = entry.quantizations.map((quantization) => {
    const size = sizeOf(entry, quantization);
    return size === null ? quantization : `${quantization} ${formatModelSize(size)}`;
  });
  return texts.join(", ") || null;
}

function contextText({ nativeContextTokens, yarnContextTokens }: CatalogueEntry): string | null {
  if (nativeContextTokens === null) return null;
  const stretched =
    yarnContextTokens === null
      ? ""
      : ` (${yarnContextTokens.toLocaleString("en")} with YaRN, which Quern does not switch on)`;
  return `trained for ${nativeContextTokens.toLocaleString("en")} tokens${stretched}`;
}

function memoryText(entry: CatalogueEntry, hereBytes: number | null): string | null {
  const quantization = servedQuantization(entry);
  const weightsBytes = hereBytes ?? (quantization && sizeOf(entry, quantization)?.bytes);
  if (!weightsBytes || entry.attention === null) return null;
  const { totalBytes, kvBytes } = estimateMemory({
    ...entry,
    weightsBytes,
    kvBytesPerTokenF16: kvBytesPerTokenF16(entry.attention),
  });
  return `${formatGib(totalBytes)}, ${formatGib(kvBytes)} of it for the slots`;
}

function samplingText({ sampling, thinking }: CatalogueEntry): string {
  const text = (mode: "thinking" | "plain") =>
    Object.entries(sampling[mode])
      .map(([name, value]) => `${name} ${value}`)
      .join(", ");
  if (thinking === "never") return text("plain");
  if (thinking === "always") return text("thinking");
  return `thinking ${text("thinking")}; plain ${text("plain")}`;
}
