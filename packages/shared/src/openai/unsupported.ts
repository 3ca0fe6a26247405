import { QuernError } from "../contract/errors.ts";
import type { ChatBody } from "./chat-body-schema.ts";

type Carried<Key extends keyof ChatBody> = {
  field: Key;
  /** Whether this value asks for no more than Quern does. */
  fits: (value: NonNullable<ChatBody[Key]>) => boolean;
  instead: string;
};

const carried = <Key extends keyof ChatBody>(
  field: Key,
  fits: Carried<Key>["fits"],
  instead: string,
): Carried<keyof ChatBody> => ({ field, fits: fits as Carried<keyof ChatBody>["fits"], instead });

const CARRIED = [
  carried("modalities", (wanted) => wanted.every((one) => one === "text"), "Quern's models write text only"),
  carried("functions", (functions) => functions.length === 0, "use tools"),
  carried("function_call", () => false, "use tools and tool_choice"),
];

/** Silently ignoring what a caller asked for would be a wrong answer: it is refused instead, by name. */
export function refuseUnsupported(body: ChatBody): void {
  for (const { field, fits, instead } of CARRIED) {
    const value = body[field];
    if (value === null || value === undefined || fits(value)) continue;
    const shown = typeof value === "object" ? "this value of " : "";
    const name = typeof value === "object" ? field : `${field}=${String(value)}`;
    throw new QuernError("unsupported_parameter", `${shown}${name} is not supported: ${instead}`, {
      param: field,
    });
  }
}

const MEDIA_PARTS = new Set(["image_url", "input_image", "input_audio", "video_url", "file", "input_file"]);

/** Before the schema sees the body, to which an image is only a part without text. */
export function refuseMedia(
  body: unknown,
  list: "messages" | "input" = "messages",
  fields: readonly string[] = ["content"],
): void {
  for (const [position, message] of listIn(body, list).entries()) {
    for (const field of fields) {
      for (const [part, { type }] of listIn(message, field).entries()) {
        if (typeof type !== "string" || !MEDIA_PARTS.has(type)) continue;
        throw new QuernError(
          "unsupported_parameter",
          `${type} is not supported: Quern's models read text only`,
          { param: `${list}[${position}].${field}[${part}]` },
        );
      }
    }
  }
}

/** The objects that a field of an unchecked body lists; empty where it lists none. */
export function listIn(holder: unknown, field: string): Record<string, unknown>[] {
  const value: unknown = (holder as Record<string, unknown> | null)?.[field];
  return Array.isArray(value) ? value.map((item) => item ?? {}) : [];
}

/** Clients that count tokens themselves do so with OpenAI's vocabulary, in which a Qwen model would read other words. */
export function refuseTokenIds(body: unknown, param: string): void {
  const given = ((body ?? {}) as Record<string, unknown>)[param];
  if (!Array.isArray(given)) return;
  if (!given.some((item) => typeof item === "number" || Array.isArray(item))) return;
  throw new QuernError(
    "unsupported_parameter",
    `${param}: token ids are not supported: send the text itself`,
    {
      param,
    },
  );
}
