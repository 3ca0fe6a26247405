import { PutObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import type { GrowingFile, Segment } from "./file-store.ts";
import { bucketFault } from "./s3-faults.ts";

/** A growing file of which each append is an object that never changes, once it is recorded. */
export class S3Segments implements GrowingFile {
  readonly #client: S3Client;
  readonly #place: { Bucket: string; folder: string };
  readonly #writer: string;
  #segments: readonly Segment[];
  /** How many of them are ours: what is written beyond those that are recorded is written over. */
  #own: number;

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
    this.#own = segments.filter(({ name }) => name.startsWith(`${writer}-`)).length;
  }

  async append(data: Uint8Array): Promise<Segment[]> {
    if (data.length > 0) {
      const name = `${this.#writer}-${this.#own + 1}`;
      const { Bucket, folder } = this.#place;
      const object = { Bucket, Key: `${folder}${name}`, Body: data };
      await this.#client.send(new PutObjectCommand(object)).catch((error) => {
        throw bucketFault(error);
      });
      this.#own += 1;
      this.#segments = [...this.#segments, { name, bytes: data.length }];
    }
    return [...this.#segments];
  }

  async close(): Promise<void> {}
}
