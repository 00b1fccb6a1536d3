// paint.ts: colors for what is printed.

import { styleText } from 'node:util';

type Format = Parameters<typeof styleText>[0];

/** Styles text if the stream is a terminal with colors; respects NO_COLOR and FORCE_COLOR. */
export function paint(stream: NodeJS.WriteStream, format: Format, text: string): string {
  // The type promises a terminal, but not every stream is one.
  const isTerminal: boolean | undefined = stream.isTTY;
  return isTerminal && stream.hasColors() ? styleText(format, text) : text;
}
