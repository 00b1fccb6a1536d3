// live-line.ts: a line at the foot of a terminal that is overwritten repeatedly, while other lines
// scroll above it.

import { cutToWidth } from './text-width.js';

const ERASE = '\r\x1b[2K';
const ERASE_BELOW = '\x1b[J';

/** One line of a terminal. */
export class LiveLine {
  readonly #stream: NodeJS.WriteStream;
  #text = '';
  #drawnLength = 0;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  /** Replaces the text. */
  show(text: string): void {
    this.#text = text;
    this.#draw();
  }

  /** Lets something print complete lines above it. */
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
    // A wrapped line would take more to erase.
    const cut = cutToWidth(this.#text, this.#stream.columns - 1);
    this.#stream.write(`${this.#eraser()}${cut}`);
    this.#drawnLength = cut.length;
  }

  #erase(): void {
    if (this.#text !== '') this.#stream.write(this.#eraser());
    this.#drawnLength = 0;
  }

  /** A terminal that became narrower has wrapped the line, and the cursor is in its last row. */
  #eraser(): string {
    const rowsAbove = Math.ceil(this.#drawnLength / this.#stream.columns) - 1;
    return rowsAbove > 0 ? `\r\x1b[${rowsAbove}A${ERASE_BELOW}` : ERASE;
  }
}
