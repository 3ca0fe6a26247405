import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { z } from "zod";
import { QuernError } from "../contract/errors.ts";

/** Of the environment of every process that reads or writes files; they must all say the same. */
export const fileStoreVariables = {
  /** A folder, or `s3://bucket/prefix`. */
  QUERN_FILES: z.string().optional(),
  /** Absent: Amazon's. */
  QUERN_S3_ENDPOINT: z.url({ protocol: /^https?$/ }).optional(),
  QUERN_S3_REGION: z.string().optional(),
  /** `true`: the bucket is named by the path, not by the host, which most servers but Amazon's want. */
  QUERN_S3_FORCE_PATH_STYLE: z.enum(["true", "false"]).default("false"),
  XDG_DATA_HOME: z.string().optional(),
};

export interface BucketConfig {
  kind: "s3";
  bucket: string;
  /** "" or what ends with a slash. */
  prefix: string;
  /** null: as the SDK finds it. */
  endpoint: string | null;
  region: string | null;
  forcePathStyle: boolean;
}

export type FileStoreConfig = { kind: "directory"; root: string } | BucketConfig;

const BUCKET_URL = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/([\w.!*'()/-]*))?$/;

/** @throws QuernError `config_invalid` */
export function toFileStoreConfig(env: z.infer<z.ZodObject<typeof fileStoreVariables>>): FileStoreConfig {
  const place = env.QUERN_FILES ?? defaultFolder(env.XDG_DATA_HOME);
  if (!/^[a-z0-9]+:\/\//i.test(place)) return { kind: "directory", root: resolve(place) };
  const [, bucket, path = ""] = BUCKET_URL.exec(place) ?? [];
  if (bucket === undefined) {
    throw new QuernError(
      "config_invalid",
      `QUERN_FILES is neither a folder nor s3://bucket/prefix: ${place}`,
    );
  }
  const folders = path.split("/").filter((folder) => folder !== "");
  return {
    kind: "s3",
    bucket,
    prefix: folders.map((folder) => `${folder}/`).join(""),
    endpoint: env.QUERN_S3_ENDPOINT ?? null,
    region: env.QUERN_S3_REGION ?? null,
    forcePathStyle: env.QUERN_S3_FORCE_PATH_STYLE === "true",
  };
}

function defaultFolder(dataHome: string | undefined): string {
  return join(dataHome || join(homedir(), ".local", "share"), "quern", "files");
}
