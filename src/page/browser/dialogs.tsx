// dialogs.tsx: what is asked before something is changed.

import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { count } from '../format.js';
import type { Action, ForwarderRow, ForwardRow } from '../page-messages.js';
import { request } from './connection.js';

/** What is asked now. */
export type Question =
  | { readonly about: 'add'; readonly forwarder?: string }
  | { readonly about: 'retarget'; readonly forward: ForwardRow }
  | { readonly about: 'remove'; readonly forward: ForwardRow; readonly open: number }
  | { readonly about: 'drain'; readonly forwarder: string; readonly forwards: number };

interface DialogProps {
  readonly title: string;
  readonly class: string;
  readonly onClose: () => void;
  readonly children: ComponentChildren;
}

/** A modal dialog: the browser keeps the focus in it, and closes it on Escape. */
export function Dialog({ title, onClose, children, class: name }: DialogProps): JSX.Element {
  const ref = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    // Without the check, a second render of the same dialog would fail.
    if (ref.current?.open === false) ref.current.showModal();
  }, []);
  return (
    <dialog
      ref={ref}
      class={name}
      aria-label={title}
      onClose={onClose}
      // A click beside it is one on its backdrop.
      onClick={(event) => event.target === event.currentTarget && ref.current?.close()}
    >
      <div class="content">
        <header>
          <h2>{title}</h2>
          <button
            type="button"
            class="quiet close"
            aria-label="Close"
            onClick={() => ref.current?.close()}
          >
            ✕
          </button>
        </header>
        {children}
      </div>
    </dialog>
  );
}

interface QuestionProps {
  readonly question: Question;
  readonly forwarders: readonly ForwarderRow[];
  readonly onClose: () => void;
  /** Told what was done, or that something is under way. */
  readonly onSaid: (text: string) => void;
}

/** Fields of the form by name. */
type Fields = Readonly<Record<string, string>>;

interface Form {
  readonly title: string;
  readonly button: string;
  readonly isDangerous?: boolean;
  readonly body: ComponentChildren;
  readonly actionFor: (fields: Fields) => Action;
}

/** Asks, does it, and closes; a failure is shown in place. */
export function QuestionDialog(props: QuestionProps): JSX.Element {
  const { question, onClose, onSaid } = props;
  const [failure, setFailure] = useState('');
  const [isBusy, setBusy] = useState(false);
  const form = formFor(props);
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const element = event.currentTarget as HTMLFormElement;
    const entries = [...new FormData(element)];
    const action = form.actionFor(
      Object.fromEntries(
        entries.map(([name, value]) => [name, typeof value === 'string' ? value.trim() : '']),
      ),
    );
    const isLong = 'drainSeconds' in action && action.drainSeconds > 0;
    setBusy(true);
    const outcome = request(action);
    if (isLong) {
      onSaid(question.about === 'drain' ? `Draining ${question.forwarder} …` : 'Removing …');
      closeAround(element);
    }
    const { isDone, message, hint = '' } = await outcome;
    setBusy(false);
    if (isDone || isLong) onSaid(message);
    else setFailure(`${message}. ${hint}`.replace('..', '.'));
    if (isDone && !isLong) closeAround(element);
  };
  return (
    <Dialog title={form.title} class="question" onClose={onClose}>
      <form onSubmit={(event) => void submit(event)}>
        {form.body}
        <p class="failure" role="alert">
          {failure}
        </p>
        <footer>
          <button type="button" onClick={(event) => closeAround(event.currentTarget)}>
            Cancel
          </button>
          <button
            type="submit"
            class={form.isDangerous === true ? 'danger' : 'primary'}
            disabled={isBusy}
          >
            {form.button}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}

/** The browser gives the focus back to what had it before; it would not if the dialog just went. */
function closeAround(element: Element): void {
  element.closest('dialog')?.close();
}

function formFor({ question, forwarders }: QuestionProps): Form {
  switch (question.about) {
    case 'add':
      return addForm(forwarders, question.forwarder);
    case 'retarget':
      return retargetForm(question.forward);
    case 'remove':
      return removeForm(question.forward, question.open);
    case 'drain':
      return drainForm(question.forwarder, question.forwards);
  }
}

const seconds = (text: string | undefined): number => Math.max(Number(text ?? 0), 0);
const words = (text = ''): string[] => text.split(/[\s,]+/).filter(Boolean);

function addForm(forwarders: readonly ForwarderRow[], chosen: string | undefined): Form {
  const nameOf = ({ id, container, program }: ForwarderRow): string =>
    `${id} – ${container || program}`;
  return {
    title: 'Add a forward',
    button: 'Add',
    body: (
      <>
        <label>
          Forwarder
          <select name="forwarder">
            {forwarders.map((each) => (
              <option key={each.id} value={each.id} selected={each.id === chosen}>
                {nameOf(each)}
              </option>
            ))}
          </select>
        </label>
        <Field
          name="spec"
          label="Ports"
          hint="As after -p: 8080:80, 127.0.0.1:0:80, 5353:53/udp"
          required
        />
        <details>
          <summary>Limits</summary>
          <div class="pair">
            <Field name="maxSessions" label="Open sessions" type="number" min={1} />
            <Field name="maxRate" label="New per second" type="number" min={1} />
            <Field name="maxPerClient" label="Open per client" type="number" min={1} />
          </div>
          <Field name="allow" label="Allow only" hint="Addresses or blocks: 10.0.0.0/8" />
          <Field name="deny" label="Deny" />
        </details>
      </>
    ),
    actionFor: ({ forwarder = '', spec = '', ...limits }) => ({
      do: 'add',
      forwarder,
      spec,
      ...limitsOf(limits),
    }),
  };
}

function limitsOf({ maxSessions, maxRate, maxPerClient, allow, deny }: Fields) {
  return {
    ...(maxSessions && { maxSessions: Number(maxSessions) }),
    ...(maxRate && { maxRate: Number(maxRate) }),
    ...(maxPerClient && { maxPerClient: Number(maxPerClient) }),
    ...(allow && { allow: words(allow) }),
    ...(deny && { deny: words(deny) }),
  };
}

function retargetForm({ id, host, targetAddress, targetPort }: ForwardRow): Form {
  return {
    title: `New target for ${host}`,
    button: 'Retarget',
    body: (
      <>
        <p>New connections go to the new target. Open ones go on where they are.</p>
        <div class="pair">
          <Field name="address" label="Address" value={targetAddress} required />
          <Field
            name="port"
            label="Port"
            type="number"
            min={1}
            max={65535}
            value={String(targetPort)}
            required
          />
        </div>
      </>
    ),
    actionFor: ({ address = '', port }) => ({
      do: 'retarget',
      forward: id,
      address,
      port: Number(port),
    }),
  };
}

function removeForm({ id, host, protocol }: ForwardRow, open: number): Form {
  return {
    title: `Remove ${host}/${protocol}?`,
    button: 'Remove',
    isDangerous: true,
    body: (
      <>
        <p>
          The port is free at once. {count(open, 'session')} {open === 1 ? 'is' : 'are'} open now.
        </p>
        <DrainField value="0" />
      </>
    ),
    actionFor: ({ drain }) => ({ do: 'remove', forward: id, drainSeconds: seconds(drain) }),
  };
}

function drainForm(forwarder: string, forwards: number): Form {
  return {
    title: `Drain ${forwarder}?`,
    button: 'Drain',
    isDangerous: true,
    body: (
      <>
        <p>{count(forwards, 'port')} will be free at once, and sessions may finish.</p>
        <DrainField value="10" />
      </>
    ),
    actionFor: ({ drain }) => ({ do: 'drain', forwarder, drainSeconds: seconds(drain) }),
  };
}

/** How long sessions may go on when their port is closed. */
function DrainField({ value }: { readonly value: string }) {
  return (
    <Field
      name="drain"
      label="Seconds that sessions may go on"
      type="number"
      min={0}
      max={86400}
      value={value}
      required
    />
  );
}

interface FieldProps {
  readonly name: string;
  readonly label: string;
  readonly hint?: string;
  readonly type?: 'text' | 'number';
  readonly value?: string;
  readonly min?: number;
  readonly max?: number;
  readonly required?: boolean;
}

function Field({
  label,
  hint,
  name,
  type = 'text',
  value = '',
  ...limits
}: FieldProps): JSX.Element {
  return (
    <label>
      {label}
      <input
        name={name}
        {...(type === 'number' ? { type: 'number' } : {})}
        defaultValue={value}
        autocomplete="off"
        {...(hint !== undefined && { 'aria-describedby': `${name}-hint` })}
        {...limits}
      />
      {hint !== undefined && (
        <small id={`${name}-hint`} class="muted">
          {hint}
        </small>
      )}
    </label>
  );
}
