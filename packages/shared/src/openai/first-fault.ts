import type { z } from "zod";
import { QuernError } from "../contract/errors.ts";

/**
 * Checks a body against its schema.
 * @throws QuernError `invalid_request` that names the first field at fault and what is wrong with it.
 */
export function parseOrRefuse<Body>(schema: z.ZodType<Body>, body: unknown): Body {
  refuseLongLists(body);
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const issue = firstIssue(parsed.error.issues);
  const where = pathText(issue.path);
  const param = issue.code === "unrecognized_keys" ? pathText([...issue.path, issue.keys[0] ?? ""]) : where;
  throw new QuernError("invalid_request", sentence(issue, where), param === "" ? {} : { param });
}

/**
 * Messages, tools or items of one request. Four times what OpenAI takes; a list of this length is checked in some 15 ms,
 * during which the gateway serves no other request.
 */
const MAX_LIST_ITEMS = 8_192;

/** Before the schema looks at each item. @throws QuernError `invalid_request` with the list and both numbers. */
function refuseLongLists(body: unknown): void {
  if (typeof body !== "object" || body === null) return;
  for (const [param, list] of Object.entries(body)) {
    if (!Array.isArray(list) || list.length <= MAX_LIST_ITEMS || typeof list[0] !== "object") continue;
    const message = `${param}: has ${list.length} items; one request takes at most ${MAX_LIST_ITEMS}`;
    throw new QuernError("invalid_request", message, { param });
  }
}

type Issue = z.core.$ZodIssue;

/** Inside a union that no option fits, the option that got furthest is the one that was meant. */
function firstIssue([issue]: readonly Issue[]): Issue {
  if (issue === undefined) throw new Error("a failed parse has an issue");
  if (issue.code !== "invalid_union" || issue.errors.length === 0) return issue;
  const inner = issue.errors
    .map((issues) => firstIssue(issues))
    .sort((a, b) => b.path.length - a.path.length)[0];
  return inner === undefined || inner.path.length === 0
    ? issue
    : { ...inner, path: [...issue.path, ...inner.path] };
}

function sentence(issue: Issue, where: string): string {
  if (issue.code === "unrecognized_keys") {
    const inside = where === "" ? "" : ` in ${where}`;
    return `unknown parameter${issue.keys.length > 1 ? "s" : ""}${inside}: ${issue.keys.join(", ")}`;
  }
  const missing = issue.code === "invalid_type" && issue.message.endsWith("received undefined");
  const what = missing && where !== "" ? "is missing" : issue.message.replace(/^Invalid input: /, "");
  return where === "" ? `the body is not valid: ${what}` : `${where}: ${what}`;
}

/** `messages[0].content` */
export function pathText(path: readonly PropertyKey[]): string {
  return path
    .map((step, position) =>
      typeof step === "number" ? `[${step}]` : `${position === 0 ? "" : "."}${String(step)}`,
    )
    .join("");
}
