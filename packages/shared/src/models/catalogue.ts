import { readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { isMap, isNode, isScalar, LineCounter, type ParsedNode, parseDocument } from "yaml";
import type { z } from "zod";
import { QuernError } from "../contract/errors.ts";
import { type CatalogueEntry, catalogueSchema } from "./catalogue-schema.ts";
import { closestNames } from "./closest-names.ts";
import { completeEntry } from "./complete-entry.ts";
import { isSameSource, parseModelSource, SOURCE_FORMS } from "./model-source.ts";
import { entryOutside, sourceOfVariant } from "./model-variant.ts";

export interface Catalogue {
  entries: CatalogueEntry[];
}

/** The models.yaml that stands at the top of the checkout. */
export function defaultCatalogueFile(): string {
  return fileURLToPath(new URL("../../../../models.yaml", import.meta.url));
}

/** Throws `catalogue_invalid` with one `file:line: what` for every fault. */
export async function loadCatalogue(file: string): Promise<Catalogue> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (cause) {
    throw new QuernError(
      "catalogue_invalid",
      `the model catalogue ${file} can't be read (${(cause as NodeJS.ErrnoException).code ?? cause}): set QUERN_MODELS_FILE to one that can`,
      { cause },
    );
  }
  return parseCatalogue(text, file);
}

export function parseCatalogue(text: string, file: string): Catalogue {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const faults: string[] = [];
  for (const error of document.errors) faults.push(`${lines.linePos(error.pos[0]).line}: ${error.message}`);
  if (faults.length > 0) throw invalid(file, faults);

  const parsed = catalogueSchema(dirname(file)).safeParse(document.toJS());
  const lineOf = (path: PropertyKey[]) => lineOfPath(document.contents, path, lines);
  if (!parsed.success)
    throw invalid(
      file,
      parsed.error.issues.map((issue) => describeIssue(issue, lineOf)),
    );

  const entries = Object.entries(parsed.data.models).map(([alias, given]) => completeEntry(alias, given));
  for (const { name, alias } of repeatedNames(entries)) {
    faults.push(
      `${lineOf(["models", alias])}: models.${alias}: the name "${name}" is already taken by another model`,
    );
  }
  if (entries.length === 0) faults.push(`${lineOf(["models"])}: models: list at least one model`);
  if (faults.length > 0) throw invalid(file, faults);
  return { entries };
}

/**
 * The entry that `spec` names: an alias, an alias with another quantization (`qwen3-8b:Q8_0`), or where a model file
 * is. A file outside the catalogue gets an alias made from its name. Whether the file is there is for
 * `locateModelFile` to say.
 */
export function findModel({ entries }: Catalogue, spec: string): CatalogueEntry {
  const entryCalled = (name: string) => entries.find((entry) => namesOf(entry).includes(name));
  const named = entryCalled(spec);
  if (named !== undefined) return named;

  const source = sourceOfVariant(spec, entryCalled) ?? parseModelSource(spec, process.cwd());
  if (source === null) {
    throw new QuernError(
      "model_unknown",
      `there is no model "${spec}": name ${suggestions(spec, entries)}, or give ${SOURCE_FORMS}`,
    );
  }
  return (
    entries.find((entry) => isSameSource(entry.source, source)) ??
    entryOutside(source, entries, new Set(entries.flatMap(namesOf)))
  );
}

/** More names than this would hide the one that was meant. */
const MAX_SUGGESTIONS = 8;

function suggestions(spec: string, entries: readonly CatalogueEntry[]): string {
  const known = entries.map(({ alias }) => alias);
  if (known.length <= MAX_SUGGESTIONS) return `one of ${known.join(", ")}`;
  const closest = closestNames(spec, known, 4).join(", ");
  return `one of the ${known.length} of the catalogue, like ${closest} (npx quern models list shows all)`;
}

function namesOf(entry: CatalogueEntry): string[] {
  return [entry.alias, ...entry.aliases];
}

function repeatedNames(entries: CatalogueEntry[]): { name: string; alias: string }[] {
  const seen = new Set<string>();
  return entries.flatMap((entry) =>
    namesOf(entry).flatMap((name) => {
      const repeated = seen.has(name);
      seen.add(name);
      return repeated ? [{ name, alias: entry.alias }] : [];
    }),
  );
}

function describeIssue(issue: z.core.$ZodIssue, lineOf: (path: PropertyKey[]) => number): string {
  const dotted = (path: PropertyKey[]) => (path.length === 0 ? "" : `${path.map(String).join(".")}: `);
  if (issue.code === "unrecognized_keys") {
    const names = issue.keys.map((key) => `"${key}"`).join(", ");
    const line = lineOf([...issue.path, ...issue.keys.slice(0, 1)]);
    return `${line}: ${dotted(issue.path)}no such field: ${names} (docs/models.md lists them)`;
  }
  const message = issue.code === "invalid_key" ? (issue.issues[0]?.message ?? issue.message) : issue.message;
  return `${lineOf(issue.path)}: ${dotted(issue.path)}${message}`;
}

/** The line of the innermost part of `path` that the document has; a map's key rather than its value. */
function lineOfPath(contents: ParsedNode | null, path: PropertyKey[], lines: LineCounter): number {
  let node: unknown = contents;
  let offset = contents?.range[0] ?? 0;
  for (const part of path) {
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(part));
      if (pair === undefined) break;
      if (isScalar(pair.key)) offset = pair.key.range?.[0] ?? offset;
      node = pair.value;
    } else {
      const child =
        isNode(node) && "get" in node
          ? (node.get as (key: unknown, keep: true) => unknown)(part, true)
          : undefined;
      if (!isNode(child)) break;
      offset = child.range?.[0] ?? offset;
      node = child;
    }
  }
  return lines.linePos(offset).line;
}

function invalid(file: string, faults: string[]): QuernError {
  return new QuernError("catalogue_invalid", faults.map((fault) => `${file}:${fault}`).join("; "));
}
