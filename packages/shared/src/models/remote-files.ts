import { basename } from "node:path";
import { z } from "zod";
import { QuernError } from "../contract/errors.ts";
import { splitParts } from "./gguf-split.ts";
import { filesOfQuantization, quantizationsOf } from "./hf-quantization.ts";
import { fileNameOf, type ModelSource } from "./model-source.ts";
import { failureOf, openRemote, type Remote, withRetries } from "./remote.ts";

/** One file to download. */
export interface RemoteFile {
  url: string;
  /** Relative to the source's cache folder. */
  name: string;
  /** Lower-case hex; null: the source doesn't tell. */
  sha256: string | null;
  bytes: number | null;
}

/** Of `GET /api/models/<repo>?blobs=true`, what is needed here. */
const repositorySchema = z.object({
  siblings: z.array(
    z.object({
      rfilename: z.string(),
      size: z.int().nonnegative().nullish(),
      lfs: z.object({ sha256: z.string().regex(/^[0-9a-f]{64}$/) }).nullish(),
    }),
  ),
});

/** The files of a source, the parts of a split model in order. */
export async function listRemoteFiles(
  source: Exclude<ModelSource, { kind: "path" }>,
  remote: Remote,
): Promise<RemoteFile[]> {
  if (source.kind === "url") {
    return urlsOfParts(source.url).map((url) => ({
      url,
      name: fileNameOf(url) ?? "model.gguf",
      sha256: null,
      bytes: null,
    }));
  }
  const { siblings } = await readRepository(source.repo, remote);
  const names = siblings
    .map((sibling) => sibling.rfilename)
    .filter((name) => !name.split("/").includes(".."));
  const files = filesOfQuantization(names, source.quantization);
  if (files.length === 0) {
    const offered = quantizationsOf(names).join(", ") || "no GGUF at all";
    throw new QuernError(
      "download_failed",
      `${source.repo} has no ${source.quantization}: it has ${offered}; name one of these`,
    );
  }
  const missing = splitParts(files[0] ?? "").filter((part) => !files.includes(part));
  if (missing.length > 0) {
    throw new QuernError(
      "download_failed",
      `${source.repo} lacks ${missing.join(", ")} of ${source.quantization}: name another quantization, or another repository`,
    );
  }
  return files.map((name) => {
    const sibling = siblings.find(({ rfilename }) => rfilename === name);
    return {
      url: `${remote.hfEndpoint}/${source.repo}/resolve/main/${name.split("/").map(encodeURIComponent).join("/")}`,
      name,
      sha256: sibling?.lfs?.sha256 ?? null,
      bytes: sibling?.size ?? null,
    };
  });
}

/** A split model's parts stand beside each other; what follows the path (a signature) is the same for all. */
function urlsOfParts(url: string): string[] {
  const { pathname } = new URL(url);
  return splitParts(pathname).map((path) => Object.assign(new URL(url), { pathname: path }).href);
}

function readRepository(repo: string, remote: Remote): Promise<z.infer<typeof repositorySchema>> {
  const url = `${remote.hfEndpoint}/api/models/${repo}?blobs=true`;
  return withRetries(remote, url, async () => {
    const { response } = await openRemote(url, {}, remote);
    if (!response.ok) throw await failureOf(response, url);
    const parsed = repositorySchema.safeParse(await response.json().catch(() => null));
    if (parsed.success) return parsed.data;
    throw new QuernError(
      "download_failed",
      `${remote.hfEndpoint} does not answer like Hugging Face about ${basename(repo)}: check HF_ENDPOINT`,
    );
  });
}
