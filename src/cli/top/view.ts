// view.ts: the screen of `spliceport top` as lines. Knows no terminal.

import { cutToWidth } from '../text/text-width.js';
import { COLUMN_GAP, tableLines, type Column } from '../text/table.js';
import { sortRows, type Sorting, type TopRow } from './top-model.js';
import { sortKeys, type SortKey } from '../commands/sort-keys.js';
import { count, formatRate } from '../text/units.js';

/** What the user has chosen. */
export interface ViewState {
  readonly sorting: Sorting;
  /** Index of the first row shown. */
  readonly offset: number;
  /** Whether the keys are shown instead of the rows. */
  readonly help?: boolean;
}

/** Size of a terminal. */
export interface Size {
  readonly columns: number;
  readonly rows: number;
}

/** A line, and whether it has the titles. */
export interface ViewLine {
  readonly text: string;
  readonly isTitle?: boolean;
}

const LINES_AROUND_ROWS = 3;

type Title = Column & { readonly key?: SortKey };

const titles: readonly Title[] = [
  { title: 'ID', key: 'id' },
  { title: 'PROTO' },
  { title: 'HOST', key: 'host' },
  { title: 'TO CONTAINER', key: 'to-container', align: 'right' },
  { title: 'TO HOST', key: 'to-host', align: 'right' },
  { title: 'OPEN', key: 'open', align: 'right' },
  { title: 'CONN/S', key: 'connects', align: 'right' },
  { title: 'FAILED', key: 'failed', align: 'right' },
  { title: 'TARGET' },
  { title: 'IN' },
];

/**
 * The order in which columns get space on a narrow terminal, after the one that rows are sorted by.
 */
const importance = [
  ...['ID', 'TO HOST', 'TO CONTAINER', 'HOST', 'OPEN', 'PROTO', 'CONN/S', 'FAILED', 'TARGET', 'IN'],
];

/** The last column may be cut to this many characters. */
const MIN_PLACE_WIDTH = 12;

/** Shown instead of the rows after `?`. */
const helpLines = [
  '← →              sort by the previous or next column',
  'r                reverse the order',
  '↑ ↓ PgUp PgDn    scroll; so do Home and End',
  '?                show the forwards again',
  'q, Ctrl-C        quit',
  '',
  'CONN/S: new sessions per second. FAILED: sessions since the start whose target could not be reached.',
];

/** How many rows fit. */
export function pageSize({ rows }: Size): number {
  return Math.max(rows - LINES_AROUND_ROWS, 1);
}

/** The offset nearest to the requested one that leaves no space empty. */
export function clampOffset(offset: number, rowCount: number, size: Size): number {
  return Math.max(Math.min(offset, rowCount - pageSize(size)), 0);
}

/** Sorts by the next or the previous column. */
export function moveSorting({ key }: Sorting, step: 1 | -1): Sorting {
  const index = (sortKeys.indexOf(key) + step + sortKeys.length) % sortKeys.length;
  return { key: sortKeys[index] ?? key, reversed: false };
}

/**
 * Every line of the screen.
 * @param silent - How many forwarders do not answer.
 */
export function render(
  rows: readonly TopRow[],
  state: ViewState,
  size: Size,
  silent = 0,
): ViewLine[] {
  const offset = clampOffset(state.offset, rows.length, size);
  const shown = sortRows(rows, state.sorting).slice(offset, offset + pageSize(size));
  const mark = state.sorting.reversed ? '▲' : '▼';
  // After a character in the last column, terminals differ in where the cursor is.
  const width = size.columns - 1;
  const cells = shown.map(cellsOf);
  const fitting = fittingColumns(cells, state.sorting.key, width);
  const columns = fitting.map((index) => {
    const { title = '', key, ...column } = titles[index] ?? {};
    return { ...column, title: key === state.sorting.key ? `${title}${mark}` : title };
  });
  const [title = '', ...body] = tableLines(
    columns,
    cells.map((row) => fitting.map((index) => row[index] ?? '')),
  );
  const fit = (text: string): string => cutToWidth(text, width);
  const blank = new Array<string>(pageSize(size)).fill('');
  const empty = rows.length === 0 ? ['No forward of this user is running.'] : [];
  const main = state.help === true ? helpLines : [...body, ...empty];
  return [
    { text: fit(summary(rows, silent)) },
    { text: fit(title).padEnd(width), isTitle: true },
    ...[...main, ...blank].slice(0, pageSize(size)).map((text) => ({ text: fit(text) })),
    { text: fit(footer(offset, shown.length, rows.length)) },
  ].slice(0, size.rows);
}

/** Indexes of the columns that fit side by side, the more important ones first. */
function fittingColumns(
  cells: readonly (readonly string[])[],
  sortedBy: SortKey,
  width: number,
): number[] {
  const rank = ({ title, key }: Title): number =>
    key === sortedBy ? -1 : importance.indexOf(title);
  const widthOf = (index: number): number => {
    const { title = '', key } = titles[index] ?? {};
    const own = title.length + (key === sortedBy ? 1 : 0);
    const widest = Math.max(own, ...cells.map((row) => row[index]?.length ?? 0));
    return title === 'IN' ? Math.min(widest, MIN_PLACE_WIDTH) : widest;
  };
  const order = titles.map((title, index) => ({ rank: rank(title), index }));
  const chosen: number[] = [];
  let left = width;
  for (const { index } of order.sort((one, other) => one.rank - other.rank)) {
    const needed = widthOf(index) + (chosen.length > 0 ? COLUMN_GAP : 0);
    if (needed > left) continue;
    chosen.push(index);
    left -= needed;
  }
  return chosen.sort((one, other) => one - other);
}

function summary(rows: readonly TopRow[], silent: number): string {
  const sum = (figure: (row: TopRow) => number): number =>
    rows.reduce((total, row) => total + figure(row), 0);
  return [
    count(rows.length, 'forward'),
    ...(silent > 0 ? [`no answer from ${count(silent, 'forwarder')}`] : []),
    `to container ${formatRate(sum((row) => row.toContainerPerSecond))}`,
    `to host ${formatRate(sum((row) => row.toHostPerSecond))}`,
    `${sum((row) => row.open)} open`,
    `${sum((row) => row.connectsPerSecond).toFixed(0)} connects/s`,
  ].join('   ');
}

function footer(offset: number, shown: number, total: number): string {
  const position = shown < total ? `${offset + 1}-${offset + shown} of ${total}   ` : '';
  return `${position}q quit   ? help   ←→ sort   r reverse   ↑↓ PgUp PgDn scroll`;
}

function cellsOf(row: TopRow): string[] {
  return [
    row.id,
    row.protocol,
    row.host,
    formatRate(row.toContainerPerSecond),
    formatRate(row.toHostPerSecond),
    String(row.open),
    row.connectsPerSecond.toFixed(0),
    String(row.failed),
    row.target,
    row.place,
  ];
}
