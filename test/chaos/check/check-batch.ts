import type { EndedBatch } from "../load/batch.ts";
import type { Expected } from "../script.ts";

interface FileLine {
  custom_id: string;
  response: {
    status_code: number;
    body: {
      choices?: { message: { content: string | null; reasoning_content?: string }; finish_reason: string }[];
      usage?: { prompt_tokens: number; completion_tokens: number };
    };
  } | null;
  error: { code: string } | null;
}

/** What is wrong with a batch that has ended, a line each: every custom_id once, as it must be, and all counts exact. */
export function checkBatch({ asked, figures, output, errors }: EndedBatch): string[] {
  const { id, status, request_counts: counts, usage } = figures;
  const faults: string[] = [];
  const say = (what: string) => faults.push(`batch ${id}: ${what}`);
  if (status !== "completed") say(`it is ${status}`);
  const found = new Map<string, { line: FileLine; file: "output" | "error" }>();
  for (const [file, lines] of [
    ["output", output],
    ["error", errors],
  ] as const) {
    for (const text of lines) {
      const line = JSON.parse(text) as FileLine;
      if (found.has(line.custom_id)) say(`twice: ${line.custom_id}`);
      found.set(line.custom_id, { line, file });
    }
  }
  let outputTokens = 0;
  for (const { customId, expected } of asked) {
    const at = found.get(customId);
    found.delete(customId);
    if (at === undefined) say(`lost: ${customId}`);
    else if ((at.file === "output") !== (expected !== null)) {
      say(`${customId} is in the ${at.file} file: ${JSON.stringify(at.line).slice(0, 300)}`);
    } else if (expected !== null && !isAnswer(at.line, expected)) {
      say(`wrong: ${customId}: ${JSON.stringify(at.line).slice(0, 300)}`);
    } else if (expected === null && at.line.response?.status_code !== 400) {
      say(`${customId} has no error of its own: ${JSON.stringify(at.line).slice(0, 300)}`);
    }
    outputTokens += expected?.completionTokens ?? 0;
  }
  for (const customId of found.keys()) say(`nobody asked for ${customId}`);
  const completed = asked.filter(({ expected }) => expected !== null).length;
  const exact = { total: asked.length, completed, failed: asked.length - completed };
  if (JSON.stringify(counts) !== JSON.stringify(exact)) {
    say(`it counts ${JSON.stringify(counts)} instead of ${JSON.stringify(exact)}`);
  }
  if (usage.output_tokens !== outputTokens) {
    say(`it counts ${usage.output_tokens} output tokens instead of ${outputTokens}`);
  }
  return faults;
}

function isAnswer({ response, error }: FileLine, expected: Expected): boolean {
  const choice = response?.body.choices?.[0];
  return (
    error === null &&
    response?.status_code === 200 &&
    choice !== undefined &&
    (choice.message.content ?? "") === expected.text &&
    (choice.message.reasoning_content ?? "") === expected.reasoning &&
    choice.finish_reason === expected.finishReason &&
    response.body.usage?.completion_tokens === expected.completionTokens
  );
}
