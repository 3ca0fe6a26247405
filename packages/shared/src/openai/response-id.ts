/** One job, one response: the ids are made of each other, so that nothing has to be kept to find either. */

const RESPONSE_PREFIX = "resp_";
const JOB_PREFIX = "job_";

/** `resp_019a…` of `job_019a…`. */
export function responseIdOf(jobId: string): string {
  return RESPONSE_PREFIX + bareId(jobId);
}

/** null: it is no response's id. What follows the prefix is not looked at. */
export function jobIdOfResponse(responseId: string): string | null {
  return responseId.startsWith(RESPONSE_PREFIX)
    ? JOB_PREFIX + responseId.slice(RESPONSE_PREFIX.length)
    : null;
}

const ITEM_PREFIXES = { reasoning: "rs_", message: "msg_", function_call: "fc_" } as const;

/** The `nth` item of its kind in one response, from 0. */
export function itemIdOf(jobId: string, kind: keyof typeof ITEM_PREFIXES, nth: number): string {
  return `${ITEM_PREFIXES[kind]}${bareId(jobId)}${nth === 0 ? "" : `_${nth}`}`;
}

function bareId(jobId: string): string {
  return jobId.replace(/^job_/, "");
}
