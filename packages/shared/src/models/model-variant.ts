import { adHocAlias } from "./ad-hoc-alias.ts";
import { type CatalogueEntry, ENTRY_DEFAULTS } from "./catalogue-schema.ts";
import { servedQuantization } from "./model-size.ts";
import type { ModelSource } from "./model-source.ts";
import { quantizationName } from "./quantizations.ts";

/** `<alias>:<quantization>`. */
const ALIAS_AND_QUANTIZATION = /^([^:/]+):([A-Za-z0-9_.-]+)$/;

/** The source that `alias:quantization` means; null: the text is not of this form, or the entry is no repository's. */
export function sourceOfVariant(
  spec: string,
  entryCalled: (name: string) => CatalogueEntry | undefined,
): ModelSource | null {
  const [, name, quantization] = ALIAS_AND_QUANTIZATION.exec(spec) ?? [];
  if (name === undefined || quantization === undefined) return null;
  const source = entryCalled(name)?.source;
  return source?.kind === "hf" ? { ...source, quantization: quantizationName(quantization) } : null;
}

/**
 * An entry for a source that stands in no catalogue. When an entry has another quantization of the same repository,
 * it is the same model at another precision: all that holds for that one holds for it, but its name and its digest.
 */
export function entryOutside(
  source: ModelSource,
  entries: readonly CatalogueEntry[],
  takenNames: ReadonlySet<string>,
): CatalogueEntry {
  const relative = entries.find((entry) => isSameRepository(entry.source, source));
  return {
    ...(relative ?? ENTRY_DEFAULTS),
    alias: adHocAlias(source, takenNames),
    aliases: [],
    source,
    sha256: null,
  };
}

function isSameRepository(a: ModelSource, b: ModelSource): boolean {
  if (a.kind !== "hf" || b.kind !== "hf" || a.repo !== b.repo) return false;
  // A repository whose files are asked for by name may hold several models.
  return [a, b].every((source) => servedQuantization({ source }) !== null);
}
