import { QuernError } from "@quern/shared/contract/errors";
import type { Row } from "./read-rows.ts";

/** `{{` and `}}` are braces, `{name}` is a column; any other brace is a slip. */
const PARTS = /\{\{|\}\}|\{([^{}]+)\}|[{}]|[^{}]+/g;

export type PromptTemplate = (row: Pick<Row, "columns" | "where">) => string;

/**
 * Reads a template such as `Classify: {review}`.
 * @throws QuernError `config_invalid` for a brace that opens or closes nothing; what it returns throws `invalid_request` for a row
 *   without one of the columns.
 */
export function readTemplate(template: string): PromptTemplate {
  const parts = [...template.matchAll(PARTS)].map(([text, column]) => {
    if (column !== undefined) return { column: column.trim() };
    if (text === "{{" || text === "}}") return { text: text.slice(1) };
    if (text !== "{" && text !== "}") return { text };
    throw new QuernError(
      "config_invalid",
      `a brace stands alone in the template '${template}': write {column} for a column, {{ and }} for braces`,
    );
  });
  return ({ columns, where }) =>
    parts.map((part) => ("text" in part ? part.text : cell(columns, part.column, where))).join("");
}

function cell(columns: Row["columns"], column: string, where: string): string {
  const value = Object.hasOwn(columns, column) ? columns[column] : undefined;
  if (value !== undefined) return value;
  throw new QuernError(
    "invalid_request",
    `${where} has no column '${column}'; it has ${Object.keys(columns).join(", ")}. ({{ and }} write braces.)`,
  );
}
