import type { GenerationRequest } from "@quern/shared/contract/generation";
import type { EngineRequest } from "../../protocol/engine-messages.ts";

/** As a worker asks its engine for a job that somebody follows, for tests. */
export function engineRequest(id: string, request: GenerationRequest): EngineRequest {
  return {
    id,
    class: "interactive",
    isFollowed: true,
    request,
    traceparent: null,
    tenant: "default",
    published: [],
  };
}
