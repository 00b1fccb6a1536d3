// connection.ts: the server's news while the page is seen, and requests to change something.

import type { Action, News, Outcome } from '../page-messages.js';
import type { Model } from './model.js';

/** The news of the server. While the page is hidden there is no connection, so nobody looks. */
export class Connection {
  readonly #model: Model;
  #source: EventSource | undefined;
  #wantsSessions = false;

  constructor(model: Model) {
    this.#model = model;
    document.addEventListener('visibilitychange', () => this.#connect());
    this.#connect();
  }

  /** Whether sessions are shown. */
  setSessions(wanted: boolean): void {
    if (wanted === this.#wantsSessions) return;
    this.#wantsSessions = wanted;
    this.#connect();
  }

  #connect(): void {
    this.#source?.close();
    this.#source = undefined;
    if (document.visibilityState === 'hidden') return;
    this.#model.restart();
    const source = new EventSource(this.#wantsSessions ? '/news?sessions' : '/news');
    source.onmessage = ({ data }) => this.#model.apply(JSON.parse(String(data)) as News);
    source.onerror = () => this.#model.lose();
    this.#source = source;
  }
}

/** Asks for a change; the outcome says whether it was made. */
export async function request(action: Action): Promise<Outcome & { readonly isDone: boolean }> {
  try {
    const response = await fetch('/actions', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(action),
    });
    return { ...((await response.json()) as Outcome), isDone: response.ok };
  } catch {
    return { message: 'spliceport ui does not answer.', hint: 'Is it running?', isDone: false };
  }
}
