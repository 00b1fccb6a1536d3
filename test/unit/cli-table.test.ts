import { describe, expect, test } from 'vitest';
import { tableLines } from '../../src/cli/text/table.js';

describe('a table', () => {
  test('has each column as wide as its widest cell, figures at the right, and no blanks behind', () => {
    const columns = [
      { title: 'ID' },
      { title: 'BYTES', align: 'right' },
      { title: 'FORWARD' },
    ] as const;
    const rows = [
      ['4281/1', '7 B', 'tcp *:8080 → 80'],
      ['1/1', '1.25 GB', ''],
    ];
    expect(tableLines(columns, rows)).toEqual([
      'ID        BYTES  FORWARD',
      '4281/1      7 B  tcp *:8080 → 80',
      '1/1     1.25 GB',
    ]);
  });

  test('without rows has its titles', () => {
    expect(tableLines([{ title: 'ID' }, { title: 'PORT' }], [])).toEqual(['ID  PORT']);
  });
});
