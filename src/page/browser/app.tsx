// app.tsx: the page.

import type { JSX } from 'preact';
import { useEffect, useMemo, useState } from 'preact/hooks';
import { count, formatRate } from '../format.js';
import { Chart } from './chart.js';
import { Connection } from './connection.js';
import { QuestionDialog, type Question } from './dialogs.js';
import { Drawer } from './drawer.js';
import { Model } from './model.js';
import { isTab, Tables, type Tab } from './tables.js';
import { TroubleList } from './trouble-list.js';

/** How long a message stays. */
const SAID_MS = 6_000;

interface Said {
  readonly text: string;
  readonly number: number;
}

/** The last message, until it has been there long enough. */
function useSaid(): [Said | undefined, (text: string) => void] {
  const [said, setSaid] = useState<Said | undefined>();
  useEffect(() => {
    if (said === undefined) return undefined;
    const timer = setTimeout(() => setSaid(undefined), SAID_MS);
    return () => clearTimeout(timer);
  }, [said]);
  const say = (text: string): void =>
    setSaid((before) => ({ text, number: (before?.number ?? 0) + 1 }));
  return [said, say];
}

function useLive(say: (text: string) => void): { model: Model; connection: Connection } {
  const [, redraw] = useState(0);
  return useMemo(() => {
    const model = new Model(
      () => redraw((version) => version + 1),
      ({ id, container, program }) => say(`Forwarder ${id} (${container || program}) has ended.`),
    );
    return { model, connection: new Connection(model) };
  }, []);
}

function tabFromAddress(): Tab {
  const name = location.hash.slice(1);
  return isTab(name) ? name : 'forwards';
}

export function App(): JSX.Element {
  const [said, say] = useSaid();
  const { model, connection } = useLive(say);
  const [tab, setTab] = useState<Tab>(tabFromAddress);
  const [filter, setFilter] = useState('');
  const [opened, setOpened] = useState<string | undefined>();
  const [question, setQuestion] = useState<Question | undefined>();
  useEffect(() => connection.setSessions(tab === 'sessions'), [tab]);
  const show = (next: Tab, filtered = ''): void => {
    setTab(next);
    setFilter(filtered);
    history.replaceState(null, '', `#${next}`);
  };
  return (
    <>
      <Header model={model} />
      <main>
        <Notice model={model} />
        <Overview model={model} />
        <TroubleList model={model} onOpen={setOpened} />
        <Tables
          {...{ model, tab, filter }}
          onTab={show}
          onFilter={setFilter}
          onOpen={setOpened}
          onAsk={setQuestion}
        />
      </main>
      {opened !== undefined && (
        <Drawer
          model={model}
          id={opened}
          onClose={() => setOpened(undefined)}
          onAsk={setQuestion}
          onSessions={(id) => {
            setOpened(undefined);
            show('sessions', id);
          }}
        />
      )}
      {question !== undefined && (
        <QuestionDialog
          question={question}
          forwarders={[...model.forwarders.values()]}
          onClose={() => setQuestion(undefined)}
          onSaid={say}
        />
      )}
      <div class="said-last" role="status" popover="manual" ref={keepOnTop(said)}>
        {said?.text}
      </div>
    </>
  );
}

/** A modal dialog is above everything but what is shown after it. */
function keepOnTop(said: Said | undefined) {
  return (element: HTMLElement | null): void => {
    if (element === null) return;
    const isShown = element.matches(':popover-open');
    const isNew = element.dataset['number'] !== String(said?.number);
    if (isShown && (said === undefined || isNew)) element.hidePopover();
    if (said !== undefined && (isNew || !isShown)) element.showPopover();
    element.dataset['number'] = String(said?.number);
  };
}

const statusText = { connecting: 'Connecting', live: 'Live', lost: 'No connection' } as const;

function Header({ model }: { readonly model: Model }): JSX.Element {
  const { status, forwarders, forwards } = model;
  return (
    <header class="top">
      <h1>
        <svg width="22" height="22" viewBox="0 0 32 32" aria-hidden="true">
          <path d="M5 11h20m-6-6 6 6-6 6M27 21H7m6-6-6 6 6 6" />
        </svg>
        spliceport
      </h1>
      <span class="muted">
        {count(forwarders.size, 'forwarder')}, {count(forwards.size, 'forward')}
      </span>
      <span class={`status ${status}`} role="status">
        {statusText[status]}
      </span>
    </header>
  );
}

/** What to do if there is nothing to see. */
function Notice({ model }: { readonly model: Model }): JSX.Element | null {
  const { status, atMs, forwarders, silent } = model;
  if (status === 'lost') {
    return (
      <section class="notice" role="alert">
        <h2>spliceport ui does not answer</h2>
        <p>
          It has ended, or this page is of an earlier run. What you see is what was known last. Run{' '}
          <code>spliceport ui</code> again and open the address that it prints.
        </p>
      </section>
    );
  }
  if (atMs === 0 || forwarders.size > 0 || silent.length > 0) return null;
  return (
    <section class="notice">
      <h2>No forwarder of yours is running</h2>
      <p>One that starts appears here by itself:</p>
      <ul>
        <li>
          <code>spliceport forward 8080:80 --container web</code> forwards a port of a container.
        </li>
        <li>
          <code>spliceport enable podman</code> has Podman use spliceport for the containers that it
          starts.
        </li>
      </ul>
      <p class="muted">Each user sees only their own forwarders.</p>
    </section>
  );
}

function Overview({ model }: { readonly model: Model }): JSX.Element {
  const { toContainer, toHost, open, newPerSecond } = model.totals;
  const figures: [name: string, title: string, value: string][] = [
    ['toContainer', 'To container', formatRate(toContainer)],
    ['toHost', 'To host', formatRate(toHost)],
    ['open', 'Open sessions', open.toLocaleString('en')],
    ['connects', 'New per second', Math.round(newPerSecond).toLocaleString('en')],
  ];
  return (
    <section class="overview" aria-label="All forwards together">
      <dl class="figures">
        {figures.map(([name, title, value]) => (
          <div key={name} class={name}>
            <dt>{title}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <Chart samples={model.series.samples} nowMs={model.atMs} height={150} label="All traffic" />
    </section>
  );
}
