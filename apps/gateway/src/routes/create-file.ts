import { QuernError } from "@quern/shared/contract/errors";
import type { FileRecord, FileRef } from "@quern/shared/contract/file";
import { eraseFile } from "@quern/shared/files/erase-file";
import { newFileId } from "@quern/shared/files/file-id";
import { fileKey } from "@quern/shared/files/file-key";
import { toFileObject } from "@quern/shared/openai/file-object";
import { uploadFieldsSchema } from "@quern/shared/openai/file-requests";
import { parseOrRefuse } from "@quern/shared/openai/first-fault";
import { redisNowMs } from "@quern/shared/redis/deadlines";
import { createFileRecord, reserveFile } from "@quern/shared/redis/file-records";
import type { Request, RequestHandler } from "express";
import { authenticate } from "../auth/authenticate.ts";
import { clientGone } from "../http/client-gone.ts";
import { checkedContent, tooLarge } from "../upload/checked-content.ts";
import { type ReceivedForm, receiveForm } from "../upload/receive-form.ts";
import type { RouteContext } from "./route.ts";

/** Longer than a whole request may take (`gateway.ts`): what a gateway that died has written is removed after that. */
const RESERVED_MS = 2 * 3_600_000;
/** A form's boundaries, headers and fields. */
const FORM_BYTES = 64 * 2 ** 10;

/**
 * `POST /v1/files`: a form, streamed into the file store as it comes. The file is there whole when the reply says so, or not at all.
 * @param silentMs how long a caller may be silent in the middle of its file.
 */
export function createFileRoute(
  { redis, fileStore, maxFileBytes }: RouteContext,
  silentMs: number,
): RequestHandler {
  return async (request, response) => {
    const { tenant } = authenticate(request);
    if (Number(request.headers["content-length"] ?? 0) > maxFileBytes + FORM_BYTES)
      throw tooLarge(maxFileBytes);
    const gone = clientGone(response);
    endWhenSilent(request, silentMs);
    const file = { tenant, id: newFileId() };
    response.locals.fileId = file.id;
    const nowMs = await redisNowMs(redis);
    await reserveFile(redis, file, nowMs + RESERVED_MS);
    let record: FileRecord;
    try {
      const form = await receiveForm(request, gone, (content) =>
        fileStore.write(fileKey(file), checkedContent(content, maxFileBytes), gone),
      );
      record = toRecord(file, form, nowMs);
    } catch (error) {
      // What can't be removed now is removed when the reservation has lapsed.
      await eraseFile(redis, fileStore, file).catch(() => {});
      if (gone.aborted) return;
      throw error;
    }
    // Where it fails the record may be there all the same, so the content stays: it is seen to when the reservation lapses.
    if (!(await createFileRecord(redis, record))) {
      await eraseFile(redis, fileStore, file);
      throw new QuernError("file_store_unavailable", "the upload took too long; try again");
    }
    response.json(toFileObject(record));
  };
}

/** @throws QuernError `invalid_request` naming the field at fault. */
function toRecord(file: FileRef, { fields, filename, bytes }: ReceivedForm, nowMs: number): FileRecord {
  const { purpose, expires_after: expiry } = parseOrRefuse(uploadFieldsSchema, fields);
  return {
    ...file,
    purpose,
    filename,
    bytes,
    createdAtMs: nowMs,
    expiresAtMs: expiry == null ? null : nowMs + expiry.seconds * 1_000,
    status: "uploaded",
  };
}

/** Closes the connection, so that no half file waits for the rest for ever. */
function endWhenSilent(request: Request, silentMs: number): void {
  request.setTimeout(silentMs, () => request.destroy());
}
