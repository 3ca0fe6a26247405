import type { Redis } from "ioredis";
import type { Collected } from "../contract/batch-collected.ts";
import type { BatchEvent } from "../contract/batch-lifecycle.ts";
import { endLines, type UnfedLine } from "../redis/batch-lines.ts";
import { saveCollected } from "../redis/batch-outbox.ts";
import { type BatchChanges, beginKeeping, moveBatch } from "../redis/batch-store.ts";
import { createFileRecord, reserveFile } from "../redis/file-records.ts";
import { newFileId } from "./file-id.ts";
import { fileKey } from "./file-key.ts";
import type { FileStore, GrowingFile } from "./file-store.ts";
import { jsonl } from "./stored-file.fixture.ts";

const TENANT = "default";

/** What a scheduler does for a batch, one step at a time, for tests of those who look on. */
export class KeptBatch implements AsyncDisposable {
  readonly id: string;
  readonly #redis: Redis;
  readonly #files: FileStore;
  #epoch = 0;
  /** Of this epoch. */
  #saves = 0;
  #collected: Collected = { outputFileId: newFileId(), output: [], errorFileId: newFileId(), errors: [] };
  #growing: { output: GrowingFile; errors: GrowingFile } | null = null;

  constructor({ redis, files }: { redis: Redis; files: FileStore }, id: string) {
    this.id = id;
    this.#redis = redis;
    this.#files = files;
  }

  /** A scheduler takes it over. */
  async begin(): Promise<void> {
    await this[Symbol.asyncDispose]();
    this.#epoch = (await beginKeeping(this.#redis, this.id)) ?? 0;
    this.#saves = 0;
    const grow = (id: string, segments: Collected["output"]) =>
      this.#files.grow(fileKey({ tenant: TENANT, id }), `e${this.#epoch}`, segments);
    const { outputFileId, output, errorFileId, errors } = this.#collected;
    this.#growing = { output: await grow(outputFileId, output), errors: await grow(errorFileId, errors) };
  }

  async move(event: BatchEvent, changes: BatchChanges = {}): Promise<void> {
    await moveBatch(this.#redis, this.id, event, this.#epoch, Date.now(), changes);
  }

  async fail(...lines: UnfedLine[]): Promise<void> {
    await endLines(this.#redis, this.id, "failed", lines, Date.now());
  }

  /** Lines come to stand in its files. */
  async collect({ output = [], errors = [] }: { output?: object[]; errors?: object[] }): Promise<void> {
    if (this.#growing === null) throw new Error("begin first");
    if (output.length > 0)
      this.#collected.output = await this.#growing.output.append(Buffer.from(jsonl(output)));
    if (errors.length > 0)
      this.#collected.errors = await this.#growing.errors.append(Buffer.from(jsonl(errors)));
    await saveCollected(this.#redis, this.id, this.#epoch, this.#collected, {
      throughId: null,
      bytes: 0,
      savesBefore: this.#saves,
      unanswered: 0,
    });
    this.#saves += 1;
  }

  /** Its files are joined, and it is over. */
  async finish(event: BatchEvent): Promise<void> {
    const { outputFileId, output, errorFileId, errors } = this.#collected;
    const outputs = await this.#assemble(outputFileId, output);
    const failures = await this.#assemble(errorFileId, errors);
    await this.move(event, {
      ...(outputs ? { outputFileId } : {}),
      ...(failures ? { errorFileId } : {}),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#growing?.output.close();
    await this.#growing?.errors.close();
    this.#growing = null;
  }

  /** False: there is nothing in it. */
  async #assemble(id: string, segments: Collected["output"]): Promise<boolean> {
    if (segments.length === 0) return false;
    const file = { tenant: TENANT, id };
    await reserveFile(this.#redis, file, Date.now() + 60_000);
    const { bytes } = await this.#files.assemble(fileKey(file), segments, AbortSignal.timeout(30_000));
    await this.#files.removeSegments(fileKey(file));
    const [purpose, status] = ["batch_output", "processed"] as const;
    const times = { createdAtMs: Date.now(), expiresAtMs: null };
    await createFileRecord(this.#redis, {
      ...file,
      purpose,
      status,
      filename: `${id}.jsonl`,
      bytes,
      ...times,
    });
    return true;
  }
}
