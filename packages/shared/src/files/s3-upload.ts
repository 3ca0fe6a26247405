import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { abortable } from "./abortable.ts";

/** One part is in memory at a time. The 10,000 that an upload may have make 80 GB. */
const PART_BYTES = 8 * 2 ** 20;

interface ObjectName {
  Bucket: string;
  Key: string;
}

/** What fits into one part goes by one request; of the rest nothing is left when it fails. Lets go of `source` then. */
export async function uploadObject(
  client: S3Client,
  object: ObjectName,
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<{ bytes: number }> {
  const upload = new PartedUpload(client, object, signal);
  try {
    await upload.send(abortable(source, signal));
    return { bytes: upload.bytes };
  } catch (error) {
    await upload.discard();
    throw error;
  }
}

class PartedUpload {
  bytes = 0;
  readonly #client: S3Client;
  readonly #object: ObjectName;
  readonly #signal: AbortSignal;
  #id: string | null = null;
  readonly #parts: { PartNumber: number; ETag: string | undefined }[] = [];

  constructor(client: S3Client, object: ObjectName, signal: AbortSignal) {
    this.#client = client;
    this.#object = object;
    this.#signal = signal;
  }

  async send(chunks: AsyncIterable<Uint8Array>): Promise<void> {
    let pieces: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of chunks) {
      pieces.push(chunk);
      size += chunk.length;
      if (size < PART_BYTES) continue;
      await this.#sendPart(Buffer.concat(pieces));
      [pieces, size] = [[], 0];
    }
    await this.#finish(Buffer.concat(pieces));
  }

  /** Nothing happens when no part has been sent. */
  async discard(): Promise<void> {
    if (this.#id === null) return;
    const command = new AbortMultipartUploadCommand({ ...this.#object, UploadId: this.#id });
    await this.#client.send(command).catch(() => {}); // else the bucket's own rule takes it away (docs/files.md)
  }

  async #sendPart(content: Buffer): Promise<void> {
    const abortSignal = this.#signal;
    if (this.#id === null) {
      const made = await this.#client.send(new CreateMultipartUploadCommand(this.#object), { abortSignal });
      this.#id = made.UploadId ?? "";
    }
    const PartNumber = this.#parts.length + 1;
    const part = { ...this.#object, UploadId: this.#id, PartNumber, Body: content };
    const { ETag } = await this.#client.send(new UploadPartCommand(part), { abortSignal });
    this.#parts.push({ PartNumber, ETag });
    this.bytes += content.length;
  }

  async #finish(rest: Buffer): Promise<void> {
    const abortSignal = this.#signal;
    if (this.#id === null) {
      await this.#client.send(new PutObjectCommand({ ...this.#object, Body: rest }), { abortSignal });
      this.bytes = rest.length;
      return;
    }
    if (rest.length > 0) await this.#sendPart(rest);
    const MultipartUpload = { Parts: this.#parts };
    const whole = { ...this.#object, UploadId: this.#id, MultipartUpload };
    await this.#client.send(new CompleteMultipartUploadCommand(whole), { abortSignal });
  }
}
