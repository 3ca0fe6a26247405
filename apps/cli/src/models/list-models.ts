import type { Catalogue } from "@quern/shared/models/catalogue";
import type { CatalogueEntry } from "@quern/shared/models/catalogue-schema";
import { findModelFile, modelFileBytes } from "@quern/shared/models/model-files";
import { servedQuantization, sizeOf } from "@quern/shared/models/model-size";
import { formatBytes, formatModelSize, formatParameters } from "./format-size.ts";
import { textTable } from "./text-table.ts";

const HEADINGS = ["MODEL", "FAMILY", "PARAMETERS", "SIZE", "HERE"];

/** A table for people, one model a line, none wider than 80 columns (the sources stand in `models show`). */
export async function listModels(catalogue: Catalogue, cacheDir: string): Promise<string> {
  const rows = await Promise.all(catalogue.entries.map((entry) => toRow(entry, cacheDir)));
  return textTable(HEADINGS, rows, ["SIZE"]);
}

async function toRow(entry: CatalogueEntry, cacheDir: string): Promise<string[]> {
  const path = await findModelFile(entry, { cacheDir });
  return [
    entry.alias,
    entry.family ?? "",
    entry.parameters === null ? "" : formatParameters(entry.parameters),
    path === null ? expectedSize(entry) : formatBytes(await modelFileBytes(path)),
    path === null ? "no" : "yes",
  ];
}

function expectedSize(entry: CatalogueEntry): string {
  const quantization = servedQuantization(entry);
  const size = quantization === null ? null : sizeOf(entry, quantization);
  return size === null ? "" : formatModelSize(size);
}
