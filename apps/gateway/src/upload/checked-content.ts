import { QuernError } from "@quern/shared/contract/errors";

/** How much of the beginning is looked at. */
const HEAD_BYTES = 4_096;

const TELLTALES: { begins: number[]; what: string; cure: string }[] = [
  { begins: [0x1f, 0x8b], what: "compressed with gzip", cure: "unpack it first" },
  { begins: [0x50, 0x4b, 0x03, 0x04], what: "a zip archive", cure: "unpack it first" },
  { begins: [0x28, 0xb5, 0x2f, 0xfd], what: "compressed with zstd", cure: "unpack it first" },
  { begins: [0xff, 0xfe], what: "UTF-16", cure: "save it as UTF-8" },
  { begins: [0xfe, 0xff], what: "UTF-16", cure: "save it as UTF-8" },
];

/**
 * An upload as it passes: not empty, no larger than `maxBytes`, and nothing that can't be lines of JSON by how it begins. What its
 * lines say is judged by the batch that uses it.
 * @throws QuernError `body_too_large`, `invalid_request`
 */
export async function* checkedContent(
  content: AsyncIterable<Buffer>,
  maxBytes: number,
): AsyncGenerator<Buffer, void, undefined> {
  let bytes = 0;
  let head = Buffer.alloc(0);
  for await (const chunk of content) {
    if (head.length < HEAD_BYTES) {
      head = Buffer.concat([head, chunk.subarray(0, HEAD_BYTES - head.length)]);
      checkHead(head);
    }
    bytes += chunk.length;
    if (bytes > maxBytes) throw tooLarge(maxBytes);
    yield chunk;
  }
  if (bytes === 0) throw notTaken("the file is empty: send one request per line");
}

export function tooLarge(maxBytes: number): QuernError {
  return new QuernError(
    "body_too_large",
    `the file is larger than ${maxBytes} bytes; split it, or raise QUERN_MAX_FILE_BYTES of the gateway`,
    { param: "file" },
  );
}

function checkHead(head: Buffer): void {
  for (const { begins, what, cure } of TELLTALES) {
    if (head.subarray(0, begins.length).equals(Buffer.from(begins))) {
      throw notTaken(`the file is ${what}, not lines of JSON: ${cure}`);
    }
  }
  if (head.includes(0))
    throw notTaken("the file has NUL bytes, so it is no text: send lines of JSON in UTF-8");
}

function notTaken(message: string): QuernError {
  return new QuernError("invalid_request", message, { param: "file" });
}
