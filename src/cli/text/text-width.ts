// text-width.ts: fitting text into the columns of a terminal. All of the project's own text is one column a character.

/** The text, or as much of it as fits into `width` columns. */
export function cutToWidth(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(width - 1, 0))}…`;
}
