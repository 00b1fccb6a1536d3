// live-line.ts: a line at the foot of a terminal that is written over again and again, while others pass above it.

import { cutToWidth } from './text-width.js';

const ERASE = '\r\x1b[2K';

/** One line of a terminal. */
export class LiveLine {
  readonly #stream: NodeJS.WriteStream;
  #text = '';

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  /** Shows a text in place of the one before. */
  show(text: string): void {
    this.#text = text;
    this.#draw();
  }

  /** Lets something print whole lines above. */
  above(write: () => void): void {
    this.#erase();
    write();
    this.#draw();
  }

  /** Removes the line. */
  end(): void {
    this.#erase();
    this.#text = '';
  }

  #draw(): void {
    if (this.#text === '') return;
    // A line that is wrapped could not be erased.
    this.#stream.write(`${ERASE}${cutToWidth(this.#text, this.#stream.columns - 1)}`);
  }

  #erase(): void {
    if (this.#text !== '') this.#stream.write(ERASE);
  }
}
