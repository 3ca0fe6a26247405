import type { IncomingHttpHeaders } from "node:http";

/**
 * The part of a content that a request asks for (RFC 9110, section 14): from `start` to before `end`. null: all of it, also
 * where several ranges are asked for, or one in a unit or a form that is none, or one on a condition we have no validator for.
 */
export function requestedRange(
  headers: IncomingHttpHeaders,
  size: number,
): { start: number; end: number } | "unsatisfiable" | null {
  if (headers["if-range"] !== undefined) return null;
  const [, first = "", last = ""] =
    /^bytes=(\d*)-(\d*)$/i.exec(headers.range?.replaceAll(/\s/g, "") ?? "") ?? [];
  if (first === "" && last === "") return null;
  if (first === "") {
    const length = Math.min(Number(last), size);
    return length === 0 ? "unsatisfiable" : { start: size - length, end: size };
  }
  const start = Number(first);
  if (last !== "" && Number(last) < start) return null;
  if (start >= size) return "unsatisfiable";
  return { start, end: last === "" ? size : Math.min(Number(last) + 1, size) };
}
