import { relative } from "node:path";
import type { Catalogue } from "@quern/shared/models/catalogue";
import type { CatalogueEntry } from "@quern/shared/models/catalogue-schema";
import { findModelFile, modelFileBytes } from "@quern/shared/models/model-files";
import { describeModelSource } from "@quern/shared/models/model-source";
import { formatBytes } from "./pull-progress.ts";

const HEADINGS = ["MODEL", "CONTEXT × SLOTS", "SIZE", "HERE", "SOURCE"];

/** A table for people, one model a line. */
export async function listModels(catalogue: Catalogue, cacheDir: string): Promise<string> {
  const rows = [HEADINGS, ...(await Promise.all(catalogue.entries.map((entry) => toRow(entry, cacheDir))))];
  const widths = HEADINGS.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join("");
}

async function toRow(entry: CatalogueEntry, cacheDir: string): Promise<string[]> {
  const path = await findModelFile(entry, { cacheDir });
  return [
    entry.alias,
    `${entry.contextTokens} × ${entry.slots}`,
    path === null ? "" : formatBytes(await modelFileBytes(path)),
    path === null ? "no" : "yes",
    entry.source.kind === "path"
      ? relative(process.cwd(), entry.source.path)
      : describeModelSource(entry.source),
  ];
}
