// one-line.ts: what is said on a line of its own, whatever it quotes.

/** A message is cut off here, so that it fits into a pipe that nobody reads yet. */
const MAX_LENGTH = 16_384;

/** The same text without line breaks and other control characters. */
export function oneLine(text: string): string {
  // eslint-disable-next-line no-control-regex -- they are what must go
  return text.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029]+/g, ' ').trim();
}

/** Why there is no container, as Podman shows it. */
export function lastWords(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return oneLine(text).slice(0, MAX_LENGTH);
}
