import type { z } from "zod";
import { QuernError } from "../contract/errors.ts";

/**
 * Checks a body against its schema.
 * @throws QuernError `invalid_request` that names the first field at fault and what is wrong with it.
 */
export function parseOrRefuse<Body>(schema: z.ZodType<Body>, body: unknown): Body {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const issue = firstIssue(parsed.error.issues);
  const param = pathText(issue.path);
  throw new QuernError("invalid_request", sentence(issue, param), param === "" ? {} : { param });
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

function sentence(issue: Issue, param: string): string {
  if (issue.code === "unrecognized_keys") {
    const where = param === "" ? "" : ` in ${param}`;
    return `unknown parameter${issue.keys.length > 1 ? "s" : ""}${where}: ${issue.keys.join(", ")}`;
  }
  const what = issue.message.replace(/^Invalid input: /, "");
  return param === "" ? `the body is not valid: ${what}` : `${param}: ${what}`;
}

/** `messages[0].content` */
function pathText(path: readonly PropertyKey[]): string {
  return path
    .map((step, position) =>
      typeof step === "number" ? `[${step}]` : `${position === 0 ? "" : "."}${String(step)}`,
    )
    .join("");
}
