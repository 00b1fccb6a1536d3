// screen.ts: takes over a terminal: the alternate screen and single keys. Restores everything at
// the end, however the program ends.

import { writeSync } from 'node:fs';
import { emitKeypressEvents, type Key } from 'node:readline';
import { paint } from '../../paint.js';
import type { Size, ViewLine } from './view.js';

// @see xterm's control sequences: alternate screen, cursor, line wrap.
const ENTER = '\x1b[?1049h\x1b[?25l\x1b[?7l';
const LEAVE = '\x1b[?7h\x1b[?25h\x1b[?1049l';
const HOME = '\x1b[H';
const ERASE_LINE_END = '\x1b[K';
const ERASE_BELOW = '\x1b[J';

/** What the screen reports. */
export interface ScreenEvents {
  readonly onKey: (key: Key) => void;
  /** The size has changed, or the screen was left for a while: everything must be redrawn. */
  readonly onRedraw: () => void;
}

/** The terminal, until it is disposed. */
export class Screen implements Disposable {
  readonly #events: ScreenEvents;
  #isEntered = false;

  constructor(events: ScreenEvents) {
    this.#events = events;
    emitKeypressEvents(process.stdin);
    process.stdin.on('keypress', this.#onKeypress);
    process.stdout.on('resize', this.#events.onRedraw);
    process.on('SIGCONT', this.#onContinue);
    process.on('exit', this.#leave);
    // Before the stack is printed: it would disappear with the alternate screen.
    process.on('uncaughtExceptionMonitor', this.#leave);
    this.#enter();
  }

  get size(): Size {
    const { columns, rows } = process.stdout;
    return { columns, rows };
  }

  /** Shows lines from the top. */
  draw(lines: readonly ViewLine[]): void {
    if (!this.#isEntered) return;
    const painted = lines.map(({ text, isTitle = false }) =>
      isTitle ? paint(process.stdout, 'inverse', text) : text,
    );
    const text = painted.map((line) => `${line}${ERASE_LINE_END}`).join('\r\n');
    process.stdout.write(`${HOME}${text}${ERASE_BELOW}`);
  }

  [Symbol.dispose](): void {
    this.#leave();
    process.stdin.off('keypress', this.#onKeypress);
    process.stdout.off('resize', this.#events.onRedraw);
    process.off('SIGCONT', this.#onContinue);
    process.off('exit', this.#leave);
    process.off('uncaughtExceptionMonitor', this.#leave);
  }

  #enter(): void {
    this.#isEntered = true;
    process.stdin.setRawMode(true).resume();
    process.stdout.write(ENTER);
  }

  readonly #leave = (): void => {
    if (!this.#isEntered) return;
    this.#isEntered = false;
    try {
      process.stdin.setRawMode(false).pause();
      // The process may exit at once, and lose what it has not written yet.
      writeSync(process.stdout.fd, LEAVE);
    } catch {
      // The terminal is gone.
    }
  };

  readonly #onKeypress = (_text: string | undefined, key: Key): void => {
    if (key.ctrl === true && key.name === 'z') {
      this.#leave();
      process.kill(process.pid, 'SIGTSTP');
    } else {
      this.#events.onKey(key);
    }
  };

  readonly #onContinue = (): void => {
    if (!this.#isEntered) this.#enter();
    this.#events.onRedraw();
  };
}
