/** Rows under headings, in columns as wide as their widest cell. Columns of numbers align right. */
export function textTable(
  headings: readonly string[],
  rows: readonly string[][],
  right: readonly string[] = [],
): string {
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  return [[...headings], ...rows]
    .map((row) =>
      row
        .map((cell, column) =>
          right.includes(headings[column] ?? "")
            ? cell.padStart(widths[column] ?? 0)
            : cell.padEnd(widths[column] ?? 0),
        )
        .join("  ")
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join("");
}
