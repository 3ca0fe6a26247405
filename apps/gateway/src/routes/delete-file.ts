import { eraseFile } from "@quern/shared/files/erase-file";
import type { RequestHandler } from "express";
import { authenticate } from "../auth/authenticate.ts";
import { findFile } from "./find-file.ts";
import type { RouteContext } from "./route.ts";

/** `DELETE /v1/files/{id}`: record and content. A batch that still needs it fails. */
export function deleteFileRoute({ redis, fileStore }: RouteContext): RequestHandler<{ id: string }> {
  return async (request, response) => {
    const file = await findFile(redis, authenticate(request), request.params.id);
    response.locals.fileId = file.id;
    await eraseFile(redis, fileStore, file);
    response.json({ id: file.id, object: "file", deleted: true });
  };
}
