import type { AskedLine } from "../load/batches/asked-lines.ts";
import type { EndedBatch } from "../load/batches/run-batches.ts";
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

interface FoundLine {
  line: FileLine;
  file: "output" | "error";
}

/** What is wrong with a batch that has ended, a line each: every custom_id once, as it must be, and all counts exact. */
export function checkBatch({ asked, mayBe, figures, output, errors }: EndedBatch): string[] {
  const { id, status, request_counts: counts, usage } = figures;
  const faults: string[] = [];
  const say = (what: string) => faults.push(`batch ${id}: ${what}`);
  if (!mayBe.includes(status)) say(`it is ${status}`);

  const found = new Map<string, FoundLine>();
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
  for (const line of asked) {
    const at = found.get(line.customId);
    found.delete(line.customId);
    const fault = at === undefined ? "lost" : faultOf(line, at, status);
    if (fault !== null) say(`${fault}: ${line.customId}: ${JSON.stringify(at?.line ?? null).slice(0, 300)}`);
    if (at?.file === "output") outputTokens += line.expected?.completionTokens ?? 0;
  }
  for (const customId of found.keys()) say(`nobody asked for ${customId}`);

  const exact = { total: asked.length, completed: output.length, failed: errors.length };
  if (JSON.stringify(counts) !== JSON.stringify(exact)) {
    say(`it counts ${JSON.stringify(counts)} instead of ${JSON.stringify(exact)}`);
  }
  // What was stopped on its way counts with what it had come to.
  const isExact = usage.output_tokens === outputTokens;
  if (status === "completed" ? !isExact : usage.output_tokens < outputTokens) {
    say(`it counts ${usage.output_tokens} output tokens instead of ${outputTokens}`);
  }
  return faults;
}

/** null: it is as it must be, or ended with its batch. */
function faultOf({ expected }: AskedLine, { line, file }: FoundLine, status: string): string | null {
  const isEndedWithBatch = status !== "completed" && line.error?.code === `batch_${status}`;
  if (file === "error" && isEndedWithBatch && line.response === null) return null;
  if (expected === null) {
    return file === "error" && line.response?.status_code === 400 ? null : "no error of its own";
  }
  if (file === "error") return "in the error file";
  return isAnswer(line, expected) ? null : "wrong";
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
