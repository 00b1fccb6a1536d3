import { describe, expect, test } from 'vitest';
import { sortKeys } from '../../src/cli/commands/sort-keys.js';
import { sortRows, type TopRow } from '../../src/cli/top/top-model.js';
import { clampOffset, moveSorting, pageSize, render } from '../../src/cli/top/view.js';

function row(id: string, changes: Partial<TopRow> = {}): TopRow {
  return {
    id,
    protocol: 'tcp',
    host: '*:8080',
    hostPort: 8080,
    target: '127.0.0.1:80',
    place: 'web',
    toContainerPerSecond: 0,
    toHostPerSecond: 0,
    open: 0,
    connectsPerSecond: 0,
    failed: 0,
    ...changes,
  };
}

const ids = (rows: readonly TopRow[]): string[] => rows.map(({ id }) => id);
const size = { columns: 120, rows: 6 };
const byId = { key: 'id', reversed: false } as const;

describe('the summary of top', () => {
  test('counts forwarders that do not answer', () => {
    const state = { sorting: byId, offset: 0 };
    expect(render([row('1/1')], state, size, 2)[0]?.text).toContain('no answer from 2 forwarders');
    expect(render([row('1/1')], state, size)[0]?.text).not.toContain('no answer');
  });
});

describe('the columns of top', () => {
  const titlesAt = (columns: number, key: (typeof sortKeys)[number] = 'to-host'): string[] => {
    const state = { sorting: { key, reversed: false }, offset: 0 };
    const rows = [row('12345/1', { host: '127.0.0.1:8080', place: '/run/netns/web-of-somebody' })];
    return render(rows, state, { columns, rows: 6 })[1]?.text.trim().split(/ {2,}/) ?? [];
  };

  test('are the rates and the sorting column on a narrow terminal', () => {
    expect(titlesAt(40)).toEqual(['ID', 'TO CONTAINER', 'TO HOST▼', 'OPEN']);
    expect(titlesAt(40, 'failed')).toEqual(['ID', 'TO CONTAINER', 'TO HOST', 'FAILED▼']);
    expect(titlesAt(10)).toEqual(['TO HOST▼']);
  });

  test('are shown whole, except the last', () => {
    const all = ['ID', 'PROTO', 'HOST', 'TO CONTAINER', 'TO HOST▼', 'OPEN', 'CONN/S', 'FAILED'];
    expect(titlesAt(90)).toEqual(all);
    expect(titlesAt(110)).toEqual([...all, 'TARGET', 'IN']);
  });
});

describe('sortRows', () => {
  test('sorts figures from the largest, and equal ones by id', () => {
    const rows = [row('9/10'), row('9/9', { open: 2 }), row('9/2'), row('10/1')];
    expect(ids(sortRows(rows, { key: 'open', reversed: false }))).toEqual([
      ...['9/9', '9/2', '9/10', '10/1'],
    ]);
    expect(ids(sortRows(rows, { key: 'open', reversed: true }))).toEqual([
      ...['9/2', '9/10', '10/1', '9/9'],
    ]);
  });

  test.each(sortKeys)('sorts by %s', (key) => {
    const high = row('2/1', {
      hostPort: 9,
      toContainerPerSecond: 9,
      toHostPerSecond: 9,
      open: 9,
      connectsPerSecond: 9,
      failed: 9,
    });
    const low = row('1/1', { hostPort: 8 });
    const isAscending = key === 'id' || key === 'host';
    const sorted = sortRows([low, high], { key, reversed: false });
    expect(ids(sorted)).toEqual(isAscending ? ['1/1', '2/1'] : ['2/1', '1/1']);
  });

  test('does not reorder its argument', () => {
    const rows = [row('2/1'), row('1/1')];
    sortRows(rows, byId);
    expect(ids(rows)).toEqual(['2/1', '1/1']);
  });
});

describe('moveSorting', () => {
  test('goes round in both directions, and resets the reversal', () => {
    expect(moveSorting({ key: 'id', reversed: true }, -1)).toEqual({
      key: sortKeys.at(-1),
      reversed: false,
    });
    let sorting = moveSorting(byId, 1);
    for (let step = 1; step < sortKeys.length; step += 1) sorting = moveSorting(sorting, 1);
    expect(sorting).toEqual(byId);
  });
});

describe('clampOffset', () => {
  test.each([
    [-1, 10, 0],
    [0, 10, 0],
    [5, 10, 5],
    [8, 10, 7],
    [2, 2, 0],
    [9, 0, 0],
  ])('limits the offset %i of %i rows to %i if three fit', (offset, rowCount, expected) => {
    expect(pageSize(size)).toBe(3);
    expect(clampOffset(offset, rowCount, size)).toBe(expected);
  });
});

describe('render', () => {
  const rows = Array.from({ length: 5 }, (_, index) => row(`7/${index + 1}`, { open: index }));

  test('fills the screen, and no more', () => {
    for (const height of [1, 2, 3, 4, 6, 40]) {
      const lines = render(rows, { sorting: byId, offset: 0 }, { columns: 80, rows: height });
      expect(lines).toHaveLength(height);
      for (const { text } of lines) expect(text.length).toBeLessThan(80);
    }
  });

  test('shows the rows from the offset on, the totals, and the position', () => {
    const lines = render(rows, { sorting: byId, offset: 1 }, size).map(({ text }) => text);
    expect(lines[0]).toContain('5 forwards');
    expect(lines[0]).toContain('10 open');
    expect(lines.slice(2, 5).map((line) => line.split(' ')[0])).toEqual(['7/2', '7/3', '7/4']);
    expect(lines[5]).toMatch(/^2-4 of 5 /);
  });

  test('shows the keys instead of the rows, and how to return', () => {
    const state = { sorting: byId, offset: 0 };
    const tall = { columns: 120, rows: 14 };
    const without = render(rows, state, tall).map(({ text }) => text);
    expect(without.at(-1)).toContain('? help');
    const lines = render(rows, { ...state, help: true }, tall).map(({ text }) => text);
    expect(lines).toHaveLength(without.length);
    expect(lines.filter((line) => line.startsWith('7/'))).toEqual([]);
    for (const key of ['← →', 'r ', 'PgUp', '? ', 'q, Ctrl-C']) {
      expect(lines.slice(2, -1).some((line) => line.includes(key))).toBe(true);
    }
    expect(render([], { ...state, help: true }, tall).map(({ text }) => text)).not.toContain(
      'No forward of this user is running.',
    );
  });

  test('marks the column that it sorts by', () => {
    const title = (reversed: boolean): string =>
      render(rows, { sorting: { key: 'open', reversed }, offset: 0 }, size)[1]?.text ?? '';
    expect(title(false)).toMatch(/ OPEN▼ /);
    expect(title(true)).toMatch(/ OPEN▲ /);
  });

  test('reports that there are no rows', () => {
    const lines = render([], { sorting: byId, offset: 3 }, size);
    expect(lines.map(({ text }) => text)).toContain('No forward of this user is running.');
    expect(lines).toHaveLength(6);
  });
});
