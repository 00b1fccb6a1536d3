// columns.tsx: the columns of the three tables.

import type { JSX } from 'preact';
import { count, formatBytes, formatDuration, formatRate } from '../format.js';
import type { ForwarderRow, SessionRow } from '../page-messages.js';
import { Sparkline } from './chart.js';
import type { Column } from './list.js';
import type { LiveForward, Model } from './model.js';

/** A figure that is better read if zeros stand back. */
function figure(value: number, text = String(value)) {
  return <span class={value === 0 ? 'zero' : ''}>{text}</span>;
}

const rate = (value: number) => figure(value, value === 0 ? '0' : formatRate(value));

const forwardFigures: readonly Column<LiveForward>[] = [
  {
    key: 'toContainer',
    title: 'To container',
    isNumber: true,
    order: (forward) => forward.toContainer,
    show: (forward) => rate(forward.toContainer),
  },
  {
    key: 'toHost',
    title: 'To host',
    isNumber: true,
    order: (forward) => forward.toHost,
    show: (forward) => rate(forward.toHost),
  },
  {
    key: 'sessions',
    title: 'Open',
    isNumber: true,
    order: ({ counters }) => counters?.sessionsOpen ?? 0,
    show: ({ counters }) => figure(counters?.sessionsOpen ?? 0),
  },
  {
    key: 'connects',
    title: 'New/s',
    isNumber: true,
    order: ({ newPerSecond }) => newPerSecond,
    show: ({ newPerSecond }) => figure(Math.round(newPerSecond)),
  },
  {
    key: 'failed',
    title: 'Failed',
    isNumber: true,
    order: ({ counters }) => counters?.connectFailures ?? 0,
    show: ({ counters }) => figure(counters?.connectFailures ?? 0),
  },
  {
    key: 'rejected',
    title: 'Rejected',
    isNumber: true,
    order: ({ rejected }) => rejected,
    show: ({ rejected }) => figure(rejected),
  },
];

export function forwardColumns(
  { atMs }: Model,
  onOpen: (id: string) => void,
): Column<LiveForward>[] {
  return [
    {
      key: 'host',
      title: 'Host',
      order: ({ row }) => row.hostPort,
      show: ({ row, recent }) => (
        <button type="button" class="open" onClick={() => onOpen(row.id)}>
          <span class="strong">{row.host}</span>
          <span class="tag">{row.protocol}</span>
          {recent[0] !== undefined && <span class="said">, {recent[0].text}</span>}
        </button>
      ),
    },
    {
      key: 'target',
      title: 'Target',
      order: ({ row }) => row.target,
      show: ({ row }) => row.target,
    },
    {
      key: 'place',
      title: 'Container',
      order: ({ row }) => row.place,
      show: ({ row }) => row.place,
    },
    {
      key: 'spark',
      title: 'Last 5 min',
      show: ({ series }) => <Sparkline samples={series.samples} nowMs={atMs} />,
    },
    ...forwardFigures,
  ];
}

export function sessionColumns({ atMs }: Model): Column<SessionRow>[] {
  return [
    {
      key: 'client',
      title: 'Client',
      order: ({ client }) => client,
      show: ({ client, protocol }) => (
        <>
          <span class="strong">{client}</span> <span class="tag">{protocol}</span>
        </>
      ),
    },
    { key: 'target', title: 'Target', order: ({ target }) => target, show: ({ target }) => target },
    {
      key: 'forward',
      title: 'Forward',
      order: ({ forward }) => forward,
      show: ({ forward }) => forward,
    },
    {
      key: 'source',
      title: 'Server sees',
      order: ({ source }) => source,
      show: ({ source }) => source || '–',
    },
    { key: 'state', title: 'State', order: ({ state }) => state, show: ({ state }) => state },
    {
      key: 'age',
      title: 'Age',
      isNumber: true,
      order: ({ openedAtMs }) => -openedAtMs,
      show: ({ openedAtMs }) => formatDuration(Math.max(atMs - openedAtMs, 0)),
    },
    {
      key: 'toContainer',
      title: 'To container',
      isNumber: true,
      order: ({ toContainer }) => toContainer,
      show: ({ toContainer }) => figure(toContainer, formatBytes(toContainer)),
    },
    {
      key: 'toHost',
      title: 'To host',
      isNumber: true,
      order: ({ toHost }) => toHost,
      show: ({ toHost }) => figure(toHost, formatBytes(toHost)),
    },
  ];
}

interface ForwarderActions {
  readonly onAdd: (forwarder: string) => void;
  readonly onDrain: (forwarder: string) => void;
}

export function forwarderColumns(model: Model, actions: ForwarderActions): Column<ForwarderRow>[] {
  const own = new Map<string, LiveForward[]>();
  for (const forward of model.forwards.values()) {
    const { forwarder } = forward.row;
    own.set(forwarder, [...(own.get(forwarder) ?? []), forward]);
  }
  const openOf = (id: string): number =>
    (own.get(id) ?? []).reduce((sum, { counters }) => sum + (counters?.sessionsOpen ?? 0), 0);
  return [
    {
      key: 'id',
      title: 'Forwarder',
      order: ({ id }) => id,
      show: ({ id, draining }) => (
        <>
          <span class="strong">{id}</span> {draining && <span class="tag">draining</span>}
        </>
      ),
    },
    {
      key: 'program',
      title: 'Program',
      order: ({ program }) => program,
      show: ({ program, version }) => `${program} ${version}`,
    },
    {
      key: 'container',
      title: 'Container',
      order: ({ container }) => container,
      show: ({ container }) => container || '–',
    },
    {
      key: 'forwards',
      title: 'Forwards',
      isNumber: true,
      order: ({ id }) => own.get(id)?.length ?? 0,
      show: ({ id }) => own.get(id)?.length ?? 0,
    },
    {
      key: 'sessions',
      title: 'Open',
      isNumber: true,
      order: ({ id }) => openOf(id),
      show: ({ id }) => figure(openOf(id)),
    },
    {
      key: 'up',
      title: 'Up',
      isNumber: true,
      order: ({ startedAtMs }) => -startedAtMs,
      show: ({ startedAtMs }) => formatDuration(Math.max(model.atMs - startedAtMs, 0)),
    },
    {
      key: 'actions',
      title: 'Actions',
      show: (row) => <Actions row={row} forwards={own.get(row.id)?.length ?? 0} {...actions} />,
    },
  ];
}

interface ActionsProps extends ForwarderActions {
  readonly row: ForwarderRow;
  readonly forwards: number;
}

function Actions({ row: { id, draining }, forwards, onAdd, onDrain }: ActionsProps): JSX.Element {
  return (
    <>
      <button
        type="button"
        class="quiet"
        aria-label={`Add a forward to ${id}`}
        onClick={() => onAdd(id)}
      >
        Add
      </button>
      <button
        type="button"
        class="quiet"
        aria-label={`Drain ${id}, ${count(forwards, 'forward')}`}
        disabled={draining}
        onClick={() => onDrain(id)}
      >
        Drain
      </button>
    </>
  );
}
