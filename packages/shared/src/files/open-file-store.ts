import { DirectoryStore } from "./directory-store.ts";
import type { FileStore } from "./file-store.ts";
import type { FileStoreConfig } from "./file-store-config.ts";

/** Neither reads nor writes anything yet. The client of S3 is loaded for those who use it only. */
export async function openFileStore(config: FileStoreConfig): Promise<FileStore> {
  if (config.kind === "directory") return new DirectoryStore(config.root);
  const { S3Store } = await import("./s3-store.ts");
  return new S3Store(config);
}
