// drawer.tsx: one forward in full.

import type { JSX } from 'preact';
import { formatBytes, formatRate } from '../format.js';
import type { Counters } from '../page-messages.js';
import { Chart } from './chart.js';
import { Dialog, type Question } from './dialogs.js';
import type { LiveForward, Model } from './model.js';
import { TroubleItem } from './trouble-list.js';

interface DrawerProps {
  readonly model: Model;
  readonly id: string;
  readonly onClose: () => void;
  readonly onAsk: (question: Question) => void;
  readonly onSessions: (id: string) => void;
}

/** A panel over the page; says so if the forward goes away meanwhile. */
export function Drawer({ model, id, onClose, onAsk, onSessions }: DrawerProps): JSX.Element {
  const forward = model.forwards.get(id);
  const title = forward === undefined ? id : `${forward.row.host}/${forward.row.protocol}`;
  return (
    <Dialog title={title} class="drawer" onClose={onClose}>
      {forward === undefined ? (
        <p role="status">This forward is gone. Its forwarder has ended, or it was removed.</p>
      ) : (
        <>
          <Facts forward={forward} />
          <div class="actions">
            <button type="button" onClick={() => onSessions(id)}>
              Sessions
            </button>
            <button
              type="button"
              onClick={() => onAsk({ about: 'retarget', forward: forward.row })}
            >
              Retarget
            </button>
            <button
              type="button"
              class="danger"
              onClick={() =>
                onAsk({
                  about: 'remove',
                  forward: forward.row,
                  open: forward.counters?.sessionsOpen ?? 0,
                })
              }
            >
              Remove
            </button>
          </div>
          <Now forward={forward} />
          <Chart
            samples={forward.series.samples}
            nowMs={model.atMs}
            height={170}
            label={`Traffic of ${title}`}
          />
          {forward.counters && <CounterList counters={forward.counters} />}
        </>
      )}
    </Dialog>
  );
}

function Facts({ forward: { row, recent } }: { readonly forward: LiveForward }): JSX.Element {
  const { target, place, sourceAddress, warning, id } = row;
  return (
    <>
      <p class="facts">
        <span>→ {target}</span>
        <span>in {place}</span>
        <span>id {id}</span>
        {sourceAddress !== 'container' && <span>source address {sourceAddress}</span>}
      </p>
      {(recent.length > 0 || warning !== undefined) && (
        <ul class="trouble-list">
          {recent.map(({ severity, text }) => (
            <TroubleItem key={text} severity={severity} text={text} />
          ))}
          {warning !== undefined && <TroubleItem severity="warning" text={warning} />}
        </ul>
      )}
    </>
  );
}

function Now({ forward }: { readonly forward: LiveForward }): JSX.Element {
  return (
    <dl class="figures small">
      <div class="toContainer">
        <dt>To container</dt>
        <dd>{formatRate(forward.toContainer)}</dd>
      </div>
      <div class="toHost">
        <dt>To host</dt>
        <dd>{formatRate(forward.toHost)}</dd>
      </div>
      <div>
        <dt>Open</dt>
        <dd>{forward.counters?.sessionsOpen ?? 0}</dd>
      </div>
    </dl>
  );
}

/** Shown even at zero. */
const always: readonly string[] = [
  ...['sessionsTotal', 'bytesToContainer', 'bytesToHost', 'connectFailures'],
  ...['sessionsDenied', 'sessionsOverLimit', 'sessionsOverRate', 'sessionsOverClientLimit'],
];
/** Shown elsewhere, or of use only to a program. */
const hidden: readonly string[] = ['sessionsOpen', 'connects', 'connectMicrosTotal'];

/** `bytesToContainer` → `Bytes to container` */
function inWords(name: string): string {
  const text = name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function CounterList({ counters }: { readonly counters: Counters }): JSX.Element {
  const { connects, connectMicrosTotal } = counters;
  const rows = Object.entries(counters)
    .filter(([name, value]) => !hidden.includes(name) && (value !== 0 || always.includes(name)))
    .map(([name, value]): [string, string] => [
      inWords(name),
      name.startsWith('bytes') ? formatBytes(Number(value)) : value.toLocaleString('en'),
    ]);
  if (connects > 0) {
    const micros = Math.round(connectMicrosTotal / connects);
    rows.push(['Time to connect, mean', `${micros.toLocaleString('en')} µs`]);
  }
  return (
    <section>
      <h3>Since its start</h3>
      <dl class="counters">
        {rows.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
