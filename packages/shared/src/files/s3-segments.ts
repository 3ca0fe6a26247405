import { PutObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import type { GrowingFile, Segment } from "./file-store.ts";
import { bucketFault } from "./s3-faults.ts";

/**
 * A growing file of which each append is an object that never changes, once it is recorded. Each try has a name of its own:
 * what broke off may still arrive, and must not overwrite what was appended since.
 */
export class S3Segments implements GrowingFile {
  readonly #client: S3Client;
  readonly #place: { Bucket: string; folder: string };
  readonly #writer: string;
  #segments: readonly Segment[];
  /** Of the last object that was tried. */
  #number: number;

  constructor(
    client: S3Client,
    place: { Bucket: string; folder: string },
    writer: string,
    segments: readonly Segment[],
  ) {
    this.#client = client;
    this.#place = place;
    this.#writer = writer;
    this.#segments = [...segments];
    const own = segments.filter(({ name }) => name.startsWith(`${writer}-`));
    this.#number = Number(own.at(-1)?.name.slice(writer.length + 1) ?? 0);
  }

  async append(data: Uint8Array): Promise<Segment[]> {
    if (data.length > 0) {
      this.#number += 1;
      const name = `${this.#writer}-${this.#number}`;
      const { Bucket, folder } = this.#place;
      const object = { Bucket, Key: `${folder}${name}`, Body: data };
      await this.#client.send(new PutObjectCommand(object)).catch((error) => {
        throw bucketFault(error);
      });
      this.#segments = [...this.#segments, { name, bytes: data.length }];
    }
    return [...this.#segments];
  }

  async close(): Promise<void> {}
}
