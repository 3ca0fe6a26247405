import { z } from "zod";

/** Of a `custom_id`, in characters. Each of them is kept with the line's end until that stands in a file. */
const MAX_CUSTOM_ID_LENGTH = 512;

/** A line of a batch's input: a request, and the name by which its submitter knows its answer again. */
const inputLineSchema = z.object({
  // Half of a character (a lone surrogate) would come back as another one, which several may share.
  custom_id: z
    .string()
    .min(1)
    .max(MAX_CUSTOM_ID_LENGTH)
    .refine((id) => id.isWellFormed()),
  method: z.literal("POST"),
  url: z.string().min(1),
  /** As its endpoint reads it; only that it is an object is known here. */
  body: z.custom<Record<string, unknown>>(isPlainObject),
});
export type InputLine = z.infer<typeof inputLineSchema>;

/** Why a line is no request. `param` is the path of the field at fault. */
export interface InputLineFault {
  code: "invalid_json_line" | "invalid_request_line";
  message: string;
  param: string | null;
}

const SHAPE = 'a line is {"custom_id": "…", "method": "POST", "url": "/v1/…", "body": {…}}';

/** Reads one line of a batch's input. Fields that it does not know are passed over. */
export function parseBatchLine(json: string): { line: InputLine } | { fault: InputLineFault } {
  let raw: unknown;
  try {
    raw = JSON.parse(json);
  } catch {
    // What the parser says of it would quote the line.
    const message = `The line is not valid JSON: write each request as one JSON object on one line (${SHAPE}).`;
    return { fault: { code: "invalid_json_line", message, param: null } };
  }
  const parsed = inputLineSchema.safeParse(raw);
  if (parsed.success) return { line: parsed.data };
  return { fault: { code: "invalid_request_line", ...firstFault(raw, parsed.error) } };
}

function firstFault(raw: unknown, error: z.ZodError): { message: string; param: string | null } {
  if (!isPlainObject(raw)) return { message: `The line is no JSON object: ${SHAPE}.`, param: null };
  const param = String(error.issues[0]?.path[0] ?? "");
  if (raw[param] === undefined) return { message: `\`${param}\` is missing: ${SHAPE}.`, param };
  const cure = CURES[param] ?? "is wrong";
  return { message: `\`${param}\` ${cure}.`, param };
}

const CURES: Record<string, string> = {
  custom_id: `must be a string of 1 to ${MAX_CUSTOM_ID_LENGTH} characters (Unicode, without lone surrogates), another one on each line`,
  method: 'must be "POST"',
  url: "must be the endpoint of the batch, such as /v1/chat/completions",
  body: "must be an object: the request, as it would be sent to that endpoint",
};

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
