import { createHash } from "node:crypto";

/** Lower case only: some file systems know no other. */
const PLAIN_TENANT = /^[a-z0-9_-]{1,64}$/;
const KEY = /^[a-z0-9_~-]{1,80}\/[a-z0-9_-]{1,80}$/;
const WRITER = /^\w{1,64}$/;
/** Where each append is a piece of its own: its writer, and which one it is. */
const SEGMENT = /^\w{1,64}(-\d{1,9})?$/;

/** Where the content of a file lies in its store: `<tenant>/<file id>`. A tenant whose name is no folder name stands there by its digest. */
export function fileKey({ tenant, id }: { tenant: string; id: string }): string {
  const folder = PLAIN_TENANT.test(tenant)
    ? tenant
    : `~${createHash("sha256").update(tenant).digest("hex").slice(0, 32)}`;
  return checkedKey(`${folder}/${id}`);
}

/** A key never leaves the store's folder, nor names what the store keeps for itself, which has a dot in it. */
export function checkedKey(key: string): string {
  if (!KEY.test(key)) throw new TypeError(`not a key of a file: ${JSON.stringify(key)}`);
  return key;
}

export function checkedWriter(writer: string): string {
  if (!WRITER.test(writer)) throw new TypeError(`not a name of a writer: ${JSON.stringify(writer)}`);
  return writer;
}

export function checkedSegment(name: string): string {
  if (!SEGMENT.test(name)) throw new TypeError(`not a name of a segment: ${JSON.stringify(name)}`);
  return name;
}
