// list.tsx: a table of any number of rows, of which only those in sight are in the document.

import type { ComponentChild, JSX } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';

/** A column of rows of type T. */
export interface Column<T> {
  readonly key: string;
  readonly title: string;
  readonly isNumber?: boolean;
  readonly show: (row: T) => ComponentChild;
  /** What it is sorted by; without it, it cannot be. */
  readonly order?: (row: T) => number | string;
}

/** Which column rows are sorted by. */
export interface Sorting {
  readonly key: string;
  readonly isDescending: boolean;
}

interface ListProps<T> {
  readonly name: string;
  readonly label: string;
  readonly rows: readonly T[];
  readonly columns: readonly Column<T>[];
  readonly keyOf: (row: T) => string;
  readonly sorting: Sorting;
  readonly onSort: (sorting: Sorting) => void;
  readonly classOf?: (row: T) => string;
}

/** Rows beyond the edges, so that none is missing while it scrolls. */
const SPARE = 8;

const compare = (one: number | string, other: number | string): number =>
  typeof one === 'number' && typeof other === 'number'
    ? one - other
    : String(one).localeCompare(String(other), 'en', { numeric: true });

/** The rows in order; equal ones stay as they are. */
export function sortRows<T>(
  rows: readonly T[],
  columns: readonly Column<T>[],
  { key, isDescending }: Sorting,
): T[] {
  const order = columns.find((column) => column.key === key)?.order;
  if (order === undefined) return [...rows];
  const sign = isDescending ? -1 : 1;
  return rows
    .map((row) => ({ row, value: order(row) }))
    .sort((one, other) => sign * compare(one.value, other.value))
    .map(({ row }) => row);
}

/** The first row in sight and how many there are; follows the window. */
function useRange(count: number): {
  readonly body: { current: HTMLDivElement | null };
  readonly first: number;
  readonly last: number;
  readonly rowHeight: number;
} {
  const body = useRef<HTMLDivElement>(null);
  const [range, setRange] = useState({ first: 0, last: 40, rowHeight: 44 });
  const measure = (): void => {
    const element = body.current;
    if (element === null) return;
    const rowHeight = parseFloat(getComputedStyle(element).getPropertyValue('--row')) || 44;
    const { top } = element.getBoundingClientRect();
    const first = Math.max(Math.floor(-top / rowHeight) - SPARE, 0);
    const last = Math.max(Math.ceil((innerHeight - top) / rowHeight) + SPARE, first);
    setRange((before) =>
      before.first === first && before.last === last && before.rowHeight === rowHeight
        ? before
        : { first, last, rowHeight },
    );
  };
  useEffect(() => {
    addEventListener('scroll', measure, { passive: true });
    addEventListener('resize', measure);
    return () => {
      removeEventListener('scroll', measure);
      removeEventListener('resize', measure);
    };
  }, []);
  // What is above may have become higher or lower.
  useLayoutEffect(measure);
  const last = Math.min(range.last, count);
  return { body, first: Math.min(range.first, last), last, rowHeight: range.rowHeight };
}

/** The table. Arrow keys go from row to row. */
export function List<T>(props: ListProps<T>): JSX.Element {
  const { name, label, rows, columns, keyOf, classOf = () => '' } = props;
  const { body, first, last, rowHeight } = useRange(rows.length);
  const onKeyDown = (event: KeyboardEvent): void => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const row = (event.target as Element).closest<HTMLElement>('[aria-rowindex]');
    if (step === undefined || row === null) return;
    const next = step > 0 ? row.nextElementSibling : row.previousElementSibling;
    next?.querySelector<HTMLElement>('button')?.focus();
    event.preventDefault();
  };
  return (
    <div class={`list ${name}`} role="table" aria-label={label} aria-rowcount={rows.length + 1}>
      <div class="head" role="rowgroup">
        <Titles {...props} />
      </div>
      <div
        class="body"
        role="rowgroup"
        ref={body}
        style={{ height: `${rows.length * rowHeight}px` }}
        onKeyDown={onKeyDown}
      >
        {rows.slice(first, last).map((row, index) => (
          <div
            class={`row ${classOf(row)}`}
            role="row"
            key={keyOf(row)}
            aria-rowindex={first + index + 2}
            style={{ transform: `translateY(${(first + index) * rowHeight}px)` }}
          >
            {columns.map(({ key, isNumber = false, show }) => (
              <div key={key} role="cell" class={`cell ${key} ${isNumber ? 'number' : ''}`}>
                {show(row)}
              </div>
            ))}
          </div>
        ))}
      </div>
    </div>
  );
}

function Titles<T>({ columns, sorting, onSort }: ListProps<T>): JSX.Element {
  return (
    <div class="row" role="row" aria-rowindex={1}>
      {columns.map(({ key, title, isNumber = false, order }) => {
        const isSorted = sorting.key === key;
        const direction = sorting.isDescending ? 'descending' : 'ascending';
        return (
          <div
            key={key}
            role="columnheader"
            class={`cell ${key} ${isNumber ? 'number' : ''}`}
            aria-sort={isSorted ? direction : 'none'}
          >
            {order === undefined ? (
              title
            ) : (
              <button
                type="button"
                class="sort"
                // Figures are of interest from the largest on.
                onClick={() =>
                  onSort({ key, isDescending: isSorted ? !sorting.isDescending : isNumber })
                }
              >
                {title}
                <span aria-hidden="true">
                  {isSorted ? (sorting.isDescending ? ' ↓' : ' ↑') : ''}
                </span>
              </button>
            )}
          </div>
        );
      })}
    </div>
  );
}
