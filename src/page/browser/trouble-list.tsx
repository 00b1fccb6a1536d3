// trouble-list.tsx: what goes wrong now, the worst first.

import type { ComponentChildren, JSX } from 'preact';
import { count } from '../format.js';
import type { Model } from './model.js';
import type { Severity } from './trouble-log.js';

/** More would push the forwards out of sight. */
const MAX_SHOWN = 4;

interface Item {
  readonly key: string;
  readonly severity: Severity;
  readonly text: string;
  /** The forward that it is about. */
  readonly forward?: { readonly id: string; readonly host: string };
}

function itemsOf(model: Model): Item[] {
  const items: Item[] = model.silent.map(({ id, message }) => ({
    key: `silent ${id}`,
    severity: 'error',
    text: `Forwarder ${id} does not answer: ${message}`,
  }));
  for (const { row, recent } of model.forwards.values()) {
    const forward = { id: row.id, host: `${row.host}/${row.protocol}` };
    for (const { severity, text } of recent) {
      items.push({ key: `${row.id} ${text}`, severity, text, forward });
    }
    if (row.warning !== undefined) {
      items.push({ key: `${row.id} warning`, severity: 'warning', text: row.warning, forward });
    }
  }
  for (const { id, notices } of model.forwarders.values()) {
    for (const notice of notices) {
      items.push({ key: `${id} ${notice}`, severity: 'warning', text: `${id}: ${notice}` });
    }
  }
  const rank = ({ severity }: Item): number => (severity === 'error' ? 0 : 1);
  return items.sort((one, other) => rank(one) - rank(other));
}

interface TroubleItemProps {
  readonly severity: Severity;
  readonly text: string;
  readonly children?: ComponentChildren;
}

export function TroubleItem({ severity, text, children }: TroubleItemProps): JSX.Element {
  return (
    <li class={severity}>
      <span class="said">{severity}: </span>
      {children}
      <span>{text}</span>
    </li>
  );
}

interface TroubleListProps {
  readonly model: Model;
  readonly onOpen: (id: string) => void;
}

/** Nothing while all is well. */
export function TroubleList({ model, onOpen }: TroubleListProps): JSX.Element | null {
  const items = itemsOf(model);
  if (items.length === 0) return null;
  const more = items.length - MAX_SHOWN;
  return (
    <section class="troubles" aria-labelledby="troubles-title">
      <h2 id="troubles-title">{count(items.length, 'trouble')} in the last minute</h2>
      <ul class="trouble-list">
        {items.slice(0, MAX_SHOWN).map(({ key, severity, text, forward }) => (
          <TroubleItem key={key} severity={severity} text={text}>
            {forward && (
              <button type="button" class="link" onClick={() => onOpen(forward.id)}>
                {forward.host}
              </button>
            )}
          </TroubleItem>
        ))}
      </ul>
      {more > 0 && (
        <p class="muted">and {more} more: the forwards with troubles are listed first.</p>
      )}
    </section>
  );
}
