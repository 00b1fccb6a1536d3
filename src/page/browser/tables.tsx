// tables.tsx: the three tables, one at a time, with what filters and sorts them.

import type { JSX } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { SessionRow } from '../page-messages.js';
import { forwardColumns, forwarderColumns, sessionColumns } from './columns.js';
import type { Question } from './dialogs.js';
import { List, sortRows, type Column, type Sorting } from './list.js';
import type { LiveForward, Model } from './model.js';

const tabs = ['forwards', 'sessions', 'forwarders'] as const;
export type Tab = (typeof tabs)[number];

export function isTab(name: string): name is Tab {
  return (tabs as readonly string[]).includes(name);
}

const titles: Readonly<Record<Tab, string>> = {
  forwards: 'Forwards',
  sessions: 'Sessions',
  forwarders: 'Forwarders',
};

const firstSorting: Readonly<Record<Tab, Sorting>> = {
  forwards: { key: 'host', isDescending: false },
  sessions: { key: 'age', isDescending: false },
  forwarders: { key: 'id', isDescending: false },
};

interface TablesProps {
  readonly model: Model;
  readonly tab: Tab;
  readonly filter: string;
  readonly onTab: (tab: Tab) => void;
  readonly onFilter: (text: string) => void;
  readonly onOpen: (forward: string) => void;
  readonly onAsk: (question: Question) => void;
}

export function Tables(props: TablesProps): JSX.Element {
  const { model, tab, filter, onTab, onFilter, onAsk } = props;
  const [sortings, setSortings] = useState(firstSorting);
  const sorting = sortings[tab];
  const onSort = (next: Sorting): void => setSortings({ ...sortings, [tab]: next });
  const columns = columnsOf(props);
  const counts: Readonly<Record<Tab, number>> = {
    forwards: model.forwards.size,
    sessions: model.totals.open,
    forwarders: model.forwarders.size,
  };
  return (
    <section class="tables">
      <div class="toolbar">
        <nav aria-label="Tables">
          {tabs.map((each) => (
            <button
              key={each}
              type="button"
              class="tab"
              aria-current={each === tab ? 'page' : undefined}
              onClick={() => onTab(each)}
            >
              {titles[each]} <span class="count">{counts[each].toLocaleString('en')}</span>
            </button>
          ))}
        </nav>
        <Filter value={filter} onChange={onFilter} />
        <SortChoice columns={columns} sorting={sorting} onSort={onSort} />
        <button
          type="button"
          class="primary"
          disabled={model.forwarders.size === 0}
          onClick={() => onAsk({ about: 'add' })}
        >
          Add forward
        </button>
      </div>
      <Table {...props} sorting={sorting} onSort={onSort} />
    </section>
  );
}

/** Titles of all tables, for those who have no room for them. */
function columnsOf({ model, tab, onOpen }: TablesProps): readonly Column<never>[] {
  if (tab === 'forwards') return forwardColumns(model, onOpen);
  if (tab === 'sessions') return sessionColumns(model);
  return forwarderColumns(model, { onAdd: () => undefined, onDrain: () => undefined });
}

interface FilterProps {
  readonly value: string;
  readonly onChange: (text: string) => void;
}

function Filter({ value, onChange }: FilterProps): JSX.Element {
  const ref = useRef<HTMLInputElement>(null);
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      const isTyping = (event.target as Element).closest('input, select, dialog') !== null;
      if (event.key !== '/' || isTyping) return;
      event.preventDefault();
      ref.current?.focus();
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, []);
  return (
    <input
      ref={ref}
      type="search"
      class="filter"
      placeholder="Filter   /"
      aria-label="Filter the table"
      aria-keyshortcuts="/"
      value={value}
      onInput={(event) => onChange(event.currentTarget.value)}
    />
  );
}

interface SortChoiceProps {
  readonly columns: readonly Column<never>[];
  readonly sorting: Sorting;
  readonly onSort: (sorting: Sorting) => void;
}

/** In place of the titles where there is no room for them. */
function SortChoice({ columns, sorting, onSort }: SortChoiceProps): JSX.Element {
  return (
    <div class="sort-choice">
      <select
        aria-label="Sort by"
        value={sorting.key}
        onChange={({ currentTarget: { value } }) =>
          onSort({
            key: value,
            isDescending: columns.find(({ key }) => key === value)?.isNumber === true,
          })
        }
      >
        {columns
          .filter(({ order }) => order !== undefined)
          .map(({ key, title }) => (
            <option key={key} value={key}>
              {title}
            </option>
          ))}
      </select>
      <button
        type="button"
        aria-label={sorting.isDescending ? 'Descending' : 'Ascending'}
        onClick={() => onSort({ ...sorting, isDescending: !sorting.isDescending })}
      >
        {sorting.isDescending ? '↓' : '↑'}
      </button>
    </div>
  );
}

type TableProps = TablesProps & Pick<SortChoiceProps, 'sorting' | 'onSort'>;

function Table(props: TableProps): JSX.Element {
  if (props.tab === 'forwards') return <Forwards {...props} />;
  if (props.tab === 'sessions') return <Sessions {...props} />;
  return <Forwarders {...props} />;
}

/** Every word must be somewhere. */
function matcher(filter: string): (text: string) => boolean {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  return (text) => {
    const lower = text.toLowerCase();
    return words.every((word) => lower.includes(word));
  };
}

function Forwards({ model, filter, sorting, onSort, onOpen }: TableProps): JSX.Element {
  const columns = forwardColumns(model, onOpen);
  const matches = matcher(filter);
  const rows = sortRows(
    [...model.forwards.values()].filter(({ row }) =>
      matches(`${row.id} ${row.host}/${row.protocol} ${row.target} ${row.place}`),
    ),
    columns,
    sorting,
  ).sort((one, other) => other.severity - one.severity);
  return (
    <>
      <List<LiveForward>
        name="forwards"
        label="Forwards"
        rows={rows}
        columns={columns}
        keyOf={({ row }) => row.id}
        sorting={sorting}
        onSort={onSort}
        classOf={({ severity }) => ['', 'warning', 'error'][severity] ?? ''}
      />
      <Empty isEmpty={rows.length === 0} total={model.forwards.size} noun="forward" />
    </>
  );
}

function Sessions({ model, filter, sorting, onSort }: TableProps): JSX.Element {
  const columns = sessionColumns(model);
  // Thousands of them: not again for each tick of the clock.
  const rows = useMemo(() => {
    const matches = matcher(filter);
    const { sessions } = model;
    const textOf = (row: SessionRow): string =>
      `${row.client} ${row.target} ${row.source} ${row.forward} ${row.state} ${row.protocol}`;
    const wanted = [...sessions.values()].filter((row) => filter === '' || matches(textOf(row)));
    return sortRows(wanted, columns, sorting);
  }, [model.sessionsVersion, filter, sorting]);
  return (
    <>
      <List
        name="sessions"
        label="Sessions"
        rows={rows}
        columns={columns}
        keyOf={({ key }) => key}
        sorting={sorting}
        onSort={onSort}
      />
      {model.hasSessions && (
        <Empty isEmpty={rows.length === 0} total={model.sessions.size} noun="open session" />
      )}
    </>
  );
}

function Forwarders({ model, filter, sorting, onSort, onAsk }: TableProps): JSX.Element {
  const forwardsOf = (id: string): number =>
    [...model.forwards.values()].filter(({ row }) => row.forwarder === id).length;
  const columns = forwarderColumns(model, {
    onAdd: (forwarder) => onAsk({ about: 'add', forwarder }),
    onDrain: (forwarder) => onAsk({ about: 'drain', forwarder, forwards: forwardsOf(forwarder) }),
  });
  const matches = matcher(filter);
  const rows = [...model.forwarders.values()].filter(({ id, program, container }) =>
    matches(`${id} ${program} ${container}`),
  );
  return (
    <>
      <List
        name="forwarders"
        label="Forwarders"
        rows={sortRows(rows, columns, sorting)}
        columns={columns}
        keyOf={({ id }) => id}
        sorting={sorting}
        onSort={onSort}
      />
      <Empty isEmpty={rows.length === 0} total={model.forwarders.size} noun="forwarder" />
    </>
  );
}

interface EmptyProps {
  readonly isEmpty: boolean;
  readonly total: number;
  readonly noun: string;
}

function Empty({ isEmpty, total, noun }: EmptyProps): JSX.Element | null {
  if (!isEmpty) return null;
  return (
    <p class="empty muted" role="status">
      {total === 0 ? `There is no ${noun}.` : `No ${noun} matches the filter.`}
    </p>
  );
}
