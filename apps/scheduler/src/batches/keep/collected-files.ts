import { randomUUID } from "node:crypto";
import type { BatchRecord } from "@quern/shared/contract/batch";
import { type Collected, collectedSchema } from "@quern/shared/contract/batch-collected";
import { fileKey } from "@quern/shared/files/file-key";
import type { FileStore, GrowingFile, Segment } from "@quern/shared/files/file-store";
import { type Collecting, readCollected, saveCollected } from "@quern/shared/redis/batch-outbox";
import { z } from "zod";
import { type Keeping, KeepingLost } from "./keeping.ts";
import { outputFileIds } from "./output-file-ids.ts";
import type { OutputLine } from "./output-line.ts";

/** What is recorded beside the segments: all copies up to this line of the input stand in the files. */
const keptSchema = collectedSchema.extend({ copiesThrough: z.int().default(-1) });
type Kept = Collected & { copiesThrough: number };

/** What else is true once lines stand in the files. */
interface Appending {
  /** So much of the outbox does. */
  collected?: Omit<Collecting, "savesBefore">;
  /** And all copies up to this line of the input. */
  copiesThrough?: number;
}

const NOTHING: Required<Appending>["collected"] = { throughId: null, bytes: 0, unanswered: 0 };

/**
 * The two files of a batch as they grow. An append is written to disk first, and then recorded in Redis, together with
 * the entries of the outbox that are done with it; what is on disk and not recorded is never read. So each line stands in
 * them once, whatever is broken off where.
 */
export class CollectedFiles implements AsyncDisposable {
  readonly #keeping: Keeping;
  readonly #output: GrowingPart;
  readonly #errors: GrowingPart;
  #kept: Kept;

  private constructor(keeping: Keeping, tenant: string, kept: Kept) {
    this.#keeping = keeping;
    this.#kept = kept;
    // Never used before, also when Redis has forgotten an epoch.
    const writer = `${keeping.epoch}_${randomUUID().slice(0, 8)}`;
    const { files } = keeping;
    this.#output = new GrowingPart(files, fileKey({ tenant, id: kept.outputFileId }), writer, kept.output);
    this.#errors = new GrowingPart(files, fileKey({ tenant, id: kept.errorFileId }), writer, kept.errors);
  }

  static async open(keeping: Keeping, { id, tenant }: BatchRecord): Promise<CollectedFiles> {
    const recorded = await readCollected(keeping.redis, id);
    const kept = keptSchema.parse(recorded ?? { ...outputFileIds(id), output: [], errors: [] });
    return new CollectedFiles(keeping, tenant, kept);
  }

  get kept(): Readonly<Kept> {
    return this.#kept;
  }

  get preferredAppendBytes(): number {
    return this.#keeping.files.preferredAppendBytes;
  }

  /** Durable, and recorded, when it resolves. @throws KeepingLost, QuernError of the store. */
  async append(lines: readonly OutputLine[], how: Appending = {}): Promise<void> {
    const { copiesThrough = this.#kept.copiesThrough, collected = NOTHING } = how;
    const textOf = (file: OutputLine["file"]) =>
      lines.flatMap((line) => (line.file === file ? [line.text] : [])).join("");
    const [output, errors] = await Promise.all([
      this.#output.append(textOf("output")),
      this.#errors.append(textOf("errors")),
    ]);
    const kept = { ...this.#kept, output, errors, copiesThrough };
    const { redis, batchId, epoch, saves } = this.#keeping;
    const collecting = { ...collected, savesBefore: saves.count };
    const { saved } = await saveCollected(redis, batchId, epoch, kept, collecting);
    if (!saved) throw new KeepingLost(`batch ${batchId}`);
    saves.count += 1;
    this.#kept = kept;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#output.close(), this.#errors.close()]);
  }
}

/** One of the files; it is opened when there is something to write. */
class GrowingPart {
  readonly #files: FileStore;
  readonly #key: string;
  readonly #writer: string;
  #segments: Segment[];
  #open: GrowingFile | null = null;

  constructor(files: FileStore, key: string, writer: string, segments: Segment[]) {
    this.#files = files;
    this.#key = key;
    this.#writer = writer;
    this.#segments = segments;
  }

  async append(text: string): Promise<Segment[]> {
    if (text === "") return this.#segments;
    this.#open ??= await this.#files.grow(this.#key, this.#writer, this.#segments);
    this.#segments = await this.#open.append(Buffer.from(text));
    return this.#segments;
  }

  async close(): Promise<void> {
    await this.#open?.close();
    this.#open = null;
  }
}
