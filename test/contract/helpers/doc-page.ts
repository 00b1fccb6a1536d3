// doc-page.ts: reads the tables of a page of the documentation.

/** The cells of the rows of the table in the section of this title. */
export function rowsOf(page: string, title: string): string[][] {
  const section = page.split(/^## /m).find((text) => text.startsWith(`${title}\n`)) ?? '';
  const lines = section.match(/^\| .*\|$/gm) ?? [];
  return lines.slice(1).map((line) =>
    line
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim()),
  );
}

/** What a cell has as code. */
export const codeIn = (cell = ''): string[] =>
  [...cell.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code);
