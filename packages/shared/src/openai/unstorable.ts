import { QuernError } from "../contract/errors.ts";
import { pathText } from "./first-fault.ts";

/** Far more than any tool's JSON schema needs, far less than what overflows a stack. */
const MAX_DEPTH = 100;

/**
 * Refuses what is JSON, but can't be carried to a model: half a surrogate pair is no character, so it can be neither
 * tokenized nor sent back; endless nesting can't be written down again.
 * @throws QuernError `invalid_request` with the field at fault.
 */
export function refuseUnstorable(value: unknown, path: PropertyKey[] = []): void {
  if (typeof value === "string") refuseHalfCharacters(value, path);
  if (typeof value !== "object" || value === null) return;
  if (path.length === MAX_DEPTH) throw refusal(path.slice(0, 2), `is nested deeper than ${MAX_DEPTH} levels`);
  if (Array.isArray(value)) {
    for (const [position, item] of value.entries()) refuseUnstorable(item, [...path, position]);
    return;
  }
  for (const [key, item] of Object.entries(value)) {
    refuseHalfCharacters(key, path);
    refuseUnstorable(item, [...path, key]);
  }
}

function refuseHalfCharacters(text: string, path: PropertyKey[]): void {
  if (!text.isWellFormed()) throw refusal(path, "has half of a surrogate pair in it, which is no character");
}

function refusal(path: PropertyKey[], why: string): QuernError {
  const param = pathText(path);
  return new QuernError("invalid_request", `${param}: ${why}`, { param });
}
