import { describe, expect, test } from 'vitest';
import { LiveLine } from '../../src/cli/text/live-line.js';
import { tableLines } from '../../src/cli/text/table.js';

const ERASE = '\r\x1b[2K';

function terminal(columns: number) {
  let output = '';
  const stream = { columns, write: (text: string) => (output += text) };
  const line = new LiveLine(stream as unknown as NodeJS.WriteStream);
  return { line, output: () => output, stream };
}

describe('LiveLine', () => {
  test('overwrites what it has shown', () => {
    const { line, output } = terminal(40);
    line.show('one');
    line.show('two');
    expect(output()).toBe(`${ERASE}one${ERASE}two`);
  });

  test('lets other lines be printed above it', () => {
    const { line, output } = terminal(40);
    line.show('one');
    let before = '';
    line.above(() => (before = output()));
    expect(before).toBe(`${ERASE}one${ERASE}`);
    expect(output()).toBe(`${ERASE}one${ERASE}${ERASE}one`);
  });

  test('is never wider than the terminal, which would wrap it', () => {
    const { line, output } = terminal(10);
    line.show('x'.repeat(40));
    expect(output()).toBe(`${ERASE}${'x'.repeat(8)}…`);
  });

  test('erases all its rows after a narrower terminal has wrapped it', () => {
    const { line, output, stream } = terminal(40);
    line.show('x'.repeat(30));
    stream.columns = 12;
    const before = output().length;
    line.show('y');
    line.show('z');
    expect(output().slice(before)).toBe(`\r\x1b[2A\x1b[Jy${ERASE}z`);
  });

  test('writes nothing while it shows nothing', () => {
    const { line, output } = terminal(40);
    line.above(() => undefined);
    line.end();
    expect(output()).toBe('');
  });
});

describe('tableLines', () => {
  test('aligns columns, without borders and blanks at the end', () => {
    const columns = [{ title: 'NAME' }, { title: 'N', align: 'right' as const }, { title: 'LAST' }];
    expect(
      tableLines(columns, [
        ['a', '1', 'x'],
        ['longer', '100', ''],
      ]),
    ).toEqual(['NAME      N  LAST', 'a         1  x', 'longer  100']);
  });

  test('has only the titles if there are no rows', () => {
    expect(tableLines([{ title: 'ONE' }, { title: 'TWO' }], [])).toEqual(['ONE  TWO']);
  });
});
