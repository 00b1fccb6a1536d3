// top.ts: `spliceport top`.

import { setTimeout as delay } from 'node:timers/promises';
import type { Key } from 'node:readline';
import { EndRequests } from '../forward/end-requests.js';
import { usageFailure } from '../failure.js';
import { Screen } from '../top/screen.js';
import type { SortKey } from './sort-keys.js';
import { TopModel, type TopRow } from '../top/top-model.js';
import { clampOffset, moveSorting, pageSize, render, type ViewState } from '../top/view.js';

/** Options of `top`. */
export interface TopOptions {
  /** Unit: seconds. */
  readonly interval: number;
  readonly sort: SortKey;
}

/** Shows forwards until it is asked to stop. */
export async function top({ interval, sort }: TopOptions): Promise<void> {
  assertTerminal();
  using requests = new EndRequests();
  const ended = new AbortController();
  const end = (): void => ended.abort();
  void requests.next().then(end);

  const model = new TopModel(ended.signal);
  let rows: readonly TopRow[] = [];
  let state: ViewState = { sorting: { key: sort, reversed: false }, offset: 0 };
  const draw = (): void => screen.draw(render(rows, state, screen.size, model.silent));
  using screen = new Screen({
    onKey: (key) => {
      if (isQuit(key)) end();
      state = stateAfter(key, state);
      state = { ...state, offset: clampOffset(state.offset, rows.length, screen.size) };
      draw();
    },
    onRedraw: draw,
  });

  function stateAfter(key: Key, before: ViewState): ViewState {
    const { sorting, offset } = before;
    // Keys that are not letters and have no name are identified by the sequence that they send.
    switch (key.name ?? key.sequence ?? '') {
      case '?':
        return { ...before, help: before.help !== true };
      case 'left':
      case 'right':
        return { offset: 0, sorting: moveSorting(sorting, key.name === 'left' ? -1 : 1) };
      case 'r':
        return { offset: 0, sorting: { ...sorting, reversed: !sorting.reversed } };
      case 'up':
        return { sorting, offset: offset - 1 };
      case 'down':
        return { sorting, offset: offset + 1 };
      case 'pageup':
        return { sorting, offset: offset - pageSize(screen.size) };
      case 'pagedown':
        return { sorting, offset: offset + pageSize(screen.size) };
      case 'home':
        return { sorting, offset: 0 };
      case 'end':
        return { sorting, offset: rows.length };
      default:
        return before;
    }
  }

  draw();
  const isOver = (): boolean => ended.signal.aborted;
  while (!isOver()) {
    rows = await model.look();
    if (!isOver()) draw();
    await delay(interval * 1_000, undefined, { signal: ended.signal }).catch(() => undefined);
  }
}

function isQuit({ name, ctrl = false }: Key): boolean {
  return ctrl ? name === 'c' || name === 'd' : name === 'q';
}

function assertTerminal(): void {
  const { stdin, stdout } = process;
  // The type promises a terminal, but not every stream is one.
  const isTerminal: boolean | undefined = stdin.isTTY && stdout.isTTY;
  if (isTerminal && process.env['TERM'] !== 'dumb') return;
  throw usageFailure('top needs a terminal', 'For programs, use "spliceport stats --json".');
}
