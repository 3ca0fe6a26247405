/** A figure of a table; null: there is none. */
export interface Column<Row> {
  title: string;
  cell: (row: Row) => string;
}

/** Columns of text; the first one is aligned to the left, figures to the right. */
export function textTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string {
  const cells = [
    columns.map(({ title }) => title),
    ...rows.map((row) => columns.map(({ cell }) => cell(row))),
  ];
  const widths = columns.map((_, column) => Math.max(...cells.map((line) => line[column]?.length ?? 0)));
  return cells
    .map((line) =>
      line
        .map((cell, column) =>
          column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
        )
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** `decimals` digits after the point; a dash where there is no figure. */
export function figure(value: number | null, decimals = 1): string {
  return value === null ? "–" : value.toFixed(decimals);
}

/** `0.25` is `25.0%`. */
export function percent(share: number | null): string {
  return share === null ? "–" : `${figure(share * 100)}%`;
}
