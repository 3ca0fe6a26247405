import type { AnsweredRow } from "./answered-rows.ts";

export interface Comparison {
  answered: number;
  equal: number;
}

/** How many answers are the text of a column, but for white space around them. Rows without an answer don't count. */
export async function compareAnswers(rows: AsyncIterable<AnsweredRow>, column: string): Promise<Comparison> {
  const comparison = { answered: 0, equal: 0 };
  for await (const { columns, answer } of rows) {
    if (answer === null) continue;
    comparison.answered += 1;
    if (answer.trim() === (columns[column] ?? "").trim()) comparison.equal += 1;
  }
  return comparison;
}
