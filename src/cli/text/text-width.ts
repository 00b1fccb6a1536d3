// text-width.ts: fits text into the columns of a terminal. In spliceport's own text, each character
// is one column.

/** The text, or as much of it as fits into `width` columns. */
export function cutToWidth(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(width - 1, 0))}…`;
}
