import { QuernError } from "@quern/shared/contract/errors";
import type { TemplateMessage } from "@quern/shared/contract/generation";
import { messagesAfter } from "@quern/shared/openai/responses-follow-up";
import type { Redis } from "ioredis";
import type { Caller } from "../auth/authenticate.ts";
import { findResponse } from "./find-response.ts";

const PARAM = "previous_response_id";

/**
 * The messages that a new response goes on from: all that an earlier one was asked and said, but its instructions.
 * @throws QuernError `response_not_found` where it is not kept; `invalid_request` where it has said nothing, or not all yet.
 */
export async function earlierMessages(
  redis: Redis,
  caller: Caller,
  previousId: string | null,
): Promise<TemplateMessage[]> {
  if (previousId === null) return [];
  const record = await findResponse(redis, caller, previousId, PARAM);
  const messages = messagesAfter(record);
  if (messages !== null) return messages;
  throw new QuernError(
    "invalid_request",
    `${PARAM}: ${previousId} is ${record.state} and has no answer to go on from; wait for its end, or take one that has completed`,
    { param: PARAM },
  );
}
