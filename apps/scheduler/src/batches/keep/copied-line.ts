import { batchLineId } from "@quern/shared/contract/batch-line-id";

/** The line of a copy: what its leader's says, under its own name. Its prompt was not computed, so all of it counts as cached. */
export function toCopiedLine(
  leaderText: string,
  copy: { batchId: string; index: number; customId: string },
): string {
  const leader = JSON.parse(leaderText) as { response: { body: { usage?: Usage } } | null };
  const usage = leader.response?.body.usage;
  if (usage !== undefined) markCached(usage);
  const { batchId, index, customId } = copy;
  return `${JSON.stringify({ ...leader, id: batchLineId({ batchId, index }), custom_id: customId })}\n`;
}

/** As the endpoints name it; vectors say nothing of caches. */
interface Usage {
  prompt_tokens?: number;
  prompt_tokens_details?: { cached_tokens: number };
  input_tokens?: number;
  input_tokens_details?: { cached_tokens: number };
}

function markCached(usage: Usage): void {
  const { prompt_tokens_details, prompt_tokens, input_tokens_details, input_tokens } = usage;
  if (prompt_tokens_details !== undefined) prompt_tokens_details.cached_tokens = prompt_tokens ?? 0;
  if (input_tokens_details !== undefined) input_tokens_details.cached_tokens = input_tokens ?? 0;
}
