import { dirname } from "node:path";
import type { ImportOf } from "./import-rules.ts";

/**
 * The tops below which no folders may import each other in a circle. Each folder counts by itself, its subfolders not
 * included: a folder may import its subfolder's files, or the other way round, but not both.
 */
export const TOPS_WITHOUT_FOLDER_CYCLES: readonly string[] = ["apps/worker/src", "tools/bench"];

/** For each folder the folders that it imports, with the first import that was found. */
type FolderGraph = ReadonlyMap<string, ReadonlyMap<string, ImportOf>>;

/**
 * Folders of `top` that import each other in a circle; tests and fixtures don't count.
 *
 * @returns for each group of such folders its imports within the group as lines for people, one of each folder by
 * another.
 */
export function folderCycles(edges: readonly ImportOf[], top: string): string[] {
  const graph = folderGraph(edges, top);
  return cyclicGroups(graph).map((group) => {
    const imports = group.flatMap((folder) =>
      [...(graph.get(folder) ?? [])]
        .filter(([imported]) => group.includes(imported))
        .map(([imported, { file, target }]) => `  ${folder} → ${imported}: ${file} imports ${target}`),
    );
    return [`${group.join(", ")} import each other in a circle:`, ...imports].join("\n");
  });
}

function folderGraph(edges: readonly ImportOf[], top: string): FolderGraph {
  const graph = new Map<string, Map<string, ImportOf>>();
  for (const edge of edges) {
    if (![edge.file, edge.target].every((path) => path.startsWith(`${top}/`))) continue;
    if (/\.(test|fixture)\.ts$/.test(edge.file)) continue;
    const [from, to] = [dirname(edge.file), dirname(edge.target)];
    if (from === to) continue;
    const imported = graph.get(from) ?? new Map<string, ImportOf>();
    if (!imported.has(to)) imported.set(to, edge);
    graph.set(from, imported);
  }
  return graph;
}

/** The strongly connected components of two folders or more, each in alphabetical order. */
function cyclicGroups(graph: FolderGraph): string[][] {
  const reached = new Map([...graph.keys()].map((folder) => [folder, reachedFrom(graph, folder)]));
  const groups = new Map<string, string[]>();
  for (const [folder, below] of reached) {
    const group = [...below].filter((other) => reached.get(other)?.has(folder)).sort();
    if (group.length > 0) groups.set(group.join(), group);
  }
  return [...groups.values()];
}

/** Every folder at the end of a chain of imports; the folder itself only when a chain leads back to it. */
function reachedFrom(graph: FolderGraph, folder: string): Set<string> {
  const reached = new Set<string>();
  const waiting = [folder];
  for (let from = waiting.pop(); from !== undefined; from = waiting.pop()) {
    for (const to of graph.get(from)?.keys() ?? []) {
      if (reached.has(to)) continue;
      reached.add(to);
      waiting.push(to);
    }
  }
  return reached;
}
