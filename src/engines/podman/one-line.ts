// one-line.ts: what is said on a line of its own, whatever it quotes.

/** The same text without line breaks and other control characters. */
export function oneLine(text: string): string {
  // eslint-disable-next-line no-control-regex -- they are what must go
  return text.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029]+/g, ' ').trim();
}
