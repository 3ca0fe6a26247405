import type { Endpoint } from "@quern/shared/contract/job";
import { type InputSource, readInputLines } from "../input/input-lines.ts";
import type { AnswerIndex } from "./answer-index.ts";
import { answerText } from "./answer-text.ts";

export interface AnsweredRow {
  columns: Record<string, string>;
  /** null: it has none. */
  answer: string | null;
}

/** The input's rows in their order, each with its answer, one in memory at a time. */
export async function* answeredRows(
  source: InputSource,
  endpoint: Endpoint,
  answers: AnswerIndex,
): AsyncGenerator<AnsweredRow, void, undefined> {
  await using reader = await answers.open();
  for await (const { index, columns } of readInputLines(source)) {
    const result = await reader.read(index);
    yield { columns, answer: result === null ? null : answerText(endpoint, result) };
  }
}
