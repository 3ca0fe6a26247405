import { QuernError } from "@quern/shared/contract/errors";
import { eraseFile } from "@quern/shared/files/erase-file";
import { liveBatchOfFile } from "@quern/shared/redis/batch-store";
import type { RequestHandler } from "express";
import { authenticate } from "../auth/authenticate.ts";
import { findFile } from "./find-file.ts";
import type { RouteContext } from "./route.ts";

/** `DELETE /v1/files/{id}`: record and content; not while a batch still reads it. */
export function deleteFileRoute({ redis, fileStore }: RouteContext): RequestHandler<{ id: string }> {
  return async (request, response) => {
    const file = await findFile(redis, authenticate(request), request.params.id);
    response.locals.fileId = file.id;
    const batchId = await liveBatchOfFile(redis, file.id);
    if (batchId !== null) {
      throw new QuernError(
        "file_in_use",
        `the batch ${batchId} still reads the file ${file.id}: wait for its end, or cancel it first`,
      );
    }
    await eraseFile(redis, fileStore, file);
    response.json({ id: file.id, object: "file", deleted: true });
  };
}
