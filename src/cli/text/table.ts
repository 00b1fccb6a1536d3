// table.ts: tables without borders, as container engines print them. All text is one column a
// character.

/** A column and its title. */
export interface Column {
  readonly title: string;
  /** Default: `left`; numbers are aligned right. */
  readonly align?: 'left' | 'right';
}

/** Blanks between two columns. */
export const COLUMN_GAP = 2;

/** The lines of a table, the titles first. */
export function tableLines(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
): string[] {
  const lines = [columns.map(({ title }) => title), ...rows];
  const padders = columns.map(({ align = 'left' }, index) => {
    const width = Math.max(...lines.map((cells) => cells[index]?.length ?? 0));
    return (cell: string) => (align === 'left' ? cell.padEnd(width) : cell.padStart(width));
  });
  return lines.map((cells) =>
    padders
      .map((pad, index) => pad(cells[index] ?? ''))
      .join(' '.repeat(COLUMN_GAP))
      .trimEnd(),
  );
}
