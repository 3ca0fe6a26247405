import { expect, test } from "vitest";
import { z } from "zod";
import { parseEnv } from "../process/env.ts";
import { fileStoreVariables, toFileStoreConfig } from "./file-store-config.ts";

const read = (env: Record<string, string>) => toFileStoreConfig(parseEnv(z.object(fileStoreVariables), env));

test("a folder, or the one of the user's data", () => {
  expect(read({ QUERN_FILES: "/data/files" })).toEqual({ kind: "directory", root: "/data/files" });
  expect(read({ QUERN_FILES: "files" })).toMatchObject({ root: `${process.cwd()}/files` });
  expect(read({ XDG_DATA_HOME: "/home/me/data" })).toMatchObject({ root: "/home/me/data/quern/files" });
  expect(read({})).toMatchObject({ kind: "directory", root: expect.stringMatching(/^\/.*\/quern\/files$/) });
});

test("a bucket", () => {
  expect(read({ QUERN_FILES: "s3://my-bucket" })).toEqual({
    kind: "s3",
    bucket: "my-bucket",
    prefix: "",
    endpoint: null,
    region: null,
    forcePathStyle: false,
  });
  expect(
    read({
      QUERN_FILES: "s3://my-bucket/quern//files/",
      QUERN_S3_ENDPOINT: "http://127.0.0.1:9000",
      QUERN_S3_REGION: "eu-north-1",
      QUERN_S3_FORCE_PATH_STYLE: "true",
    }),
  ).toEqual({
    kind: "s3",
    bucket: "my-bucket",
    prefix: "quern/files/",
    endpoint: "http://127.0.0.1:9000",
    region: "eu-north-1",
    forcePathStyle: true,
  });
});

test.each(["s3://", "s3://B", "gs://bucket", "s3://bucket/a b"])("%s is refused", (place) => {
  expect(() => read({ QUERN_FILES: place })).toThrow(/QUERN_FILES is neither/);
});
