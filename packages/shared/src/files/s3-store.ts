import type { Readable } from "node:stream";
import {
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  paginateListObjectsV2,
  S3Client,
} from "@aws-sdk/client-s3";
import { fileMissing } from "./file-faults.ts";
import { checkedKey, checkedWriter } from "./file-key.ts";
import type { ByteRange, FileStore, GrowingFile, Segment } from "./file-store.ts";
import type { BucketConfig } from "./file-store-config.ts";
import { bucketFault, isNotFound, isPastTheEnd } from "./s3-faults.ts";
import { S3Segments } from "./s3-segments.ts";
import { uploadObject } from "./s3-upload.ts";
import { byteStream, readSegmentParts, totalBytes } from "./segments.ts";
import { withoutStalls } from "./without-stalls.ts";

/** Each append is an object, and a request; the store has 10,000 of them in a file of 10 GB. */
const PREFERRED_APPEND_BYTES = 2 ** 20;

/** Patience with a bucket, in milliseconds. Each try of the SDK, of which there are three, has it anew. */
export interface BucketPatience {
  connectionMs: number;
  /** From a request to the head of its answer; the longest sends a part of 8 MiB. */
  requestMs: number;
  /** While somebody waits for more of a body. */
  stallMs: number;
}

/** A server that vanished in the middle of a request says nothing: without this it would be waited for for ever. */
const PATIENCE: BucketPatience = { connectionMs: 5_000, requestMs: 60_000, stallMs: 30_000 };

/**
 * Files in a bucket of S3, or of what speaks its language. Credentials are found as AWS's SDKs find them.
 *
 *   <prefix><tenant>/<file id>                          a whole file
 *   <prefix><tenant>/<file id>.segments/<writer>-<n>    one append to a growing file
 */
export class S3Store implements FileStore {
  readonly preferredAppendBytes = PREFERRED_APPEND_BYTES;
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #prefix: string;
  readonly #patience: BucketPatience;

  constructor(
    { bucket, prefix, endpoint, region, forcePathStyle }: BucketConfig,
    patience: BucketPatience = PATIENCE,
  ) {
    this.#bucket = bucket;
    this.#prefix = prefix;
    this.#patience = patience;
    this.#client = new S3Client({
      forcePathStyle,
      requestHandler: {
        connectionTimeout: patience.connectionMs,
        requestTimeout: patience.requestMs,
        throwOnRequestTimeout: true,
      },
      ...(region !== null && { region }),
      // Servers other than Amazon's have one region, if any, and not all of them know the newer checksums.
      ...(endpoint !== null && {
        endpoint,
        region: region ?? "us-east-1",
        requestChecksumCalculation: "WHEN_REQUIRED",
        responseChecksumValidation: "WHEN_REQUIRED",
      }),
    });
  }

  async write(
    key: string,
    source: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<{ bytes: number }> {
    return await uploadObject(this.#client, this.#objectOf(key), source, signal).catch(rethrow);
  }

  read(key: string, range: ByteRange = {}): Readable {
    return byteStream(this.#readObject(this.#objectOf(key), key, range));
  }

  async size(key: string): Promise<number | null> {
    try {
      return (await this.#client.send(new HeadObjectCommand(this.#objectOf(key)))).ContentLength ?? 0;
    } catch (error) {
      if (isNotFound(error)) return null;
      throw bucketFault(error);
    }
  }

  async remove(key: string): Promise<void> {
    await this.#client.send(new DeleteObjectCommand(this.#objectOf(key))).catch(rethrow);
  }

  async grow(key: string, writer: string, segments: readonly Segment[]): Promise<GrowingFile> {
    const { Bucket, Key } = this.#objectOf(key);
    const place = { Bucket, folder: `${Key}.segments/` };
    return new S3Segments(this.#client, place, checkedWriter(writer), segments);
  }

  readSegments(key: string, segments: readonly Segment[], range: ByteRange = {}): Readable {
    const { Bucket, Key } = this.#objectOf(key);
    const readPart = (name: string, part: ByteRange) =>
      this.#readObject({ Bucket, Key: `${Key}.segments/${name}` }, key, part);
    return byteStream(readSegmentParts(key, segments, range, readPart));
  }

  async assemble(key: string, segments: readonly Segment[], signal: AbortSignal): Promise<{ bytes: number }> {
    const bytes = totalBytes(segments);
    if ((await this.size(key)) === bytes) return { bytes };
    return await this.write(key, this.readSegments(key, segments), signal);
  }

  async removeSegments(key: string): Promise<void> {
    const { Bucket, Key } = this.#objectOf(key);
    const pages = paginateListObjectsV2({ client: this.#client }, { Bucket, Prefix: `${Key}.segments/` });
    try {
      // A page has 1,000 objects, and so many can be deleted at once.
      for await (const { Contents = [] } of pages) {
        if (Contents.length === 0) continue;
        const Objects = Contents.map((object) => ({ Key: object.Key }));
        await this.#client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects, Quiet: true } }));
      }
    } catch (error) {
      throw bucketFault(error);
    }
  }

  /** Parts of uploads whose process died are the bucket's own to remove: docs/files.md names the rule. */
  async removeLeftovers(): Promise<number> {
    return 0;
  }

  close(): void {
    this.#client.destroy();
  }

  async *#readObject(
    object: { Bucket: string; Key: string },
    key: string,
    { start = 0, end = Number.POSITIVE_INFINITY }: ByteRange,
  ): AsyncGenerator<Buffer, void, undefined> {
    if (start >= end) return;
    const Range = `bytes=${start}-${end === Number.POSITIVE_INFINITY ? "" : end - 1}`;
    try {
      const { Body } = await this.#client.send(new GetObjectCommand({ ...object, Range }));
      // In Node it is always a stream of Node's.
      yield* withoutStalls(Body as Readable, this.#patience.stallMs);
    } catch (error) {
      if (isPastTheEnd(error)) return;
      throw isNotFound(error) ? fileMissing(key, error) : bucketFault(error);
    }
  }

  #objectOf(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.#bucket, Key: `${this.#prefix}${checkedKey(key)}` };
  }
}

function rethrow(error: unknown): never {
  throw bucketFault(error);
}
