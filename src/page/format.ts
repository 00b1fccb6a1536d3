// format.ts: formats figures for people, on the command line and on the page. Imports nothing.

const prefixes = ['', 'k', 'M', 'G', 'T', 'P'];

/** `999 B`, `1.2 kB`, `34 MB`: at most three digits, by thousands. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let prefix = 0;
  // A figure that rounds up to 1000 gets the next prefix.
  while (value >= 999.5 && prefix < prefixes.length - 1) {
    value /= 1_000;
    prefix += 1;
  }
  const digits = prefix > 0 && value < 9.95 ? 1 : 0;
  return `${value.toFixed(digits)} ${prefixes[prefix] ?? ''}B`;
}

/** {@link formatBytes} per second. */
export function formatRate(bytesPerSecond: number): string {
  return `${formatBytes(bytesPerSecond)}/s`;
}

/** `7s`, `3m12s`, `2h05m`, `4d03h`: the two largest units. */
export function formatDuration(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1_000);
  if (seconds < 60) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m${pad(seconds % 60)}s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours}h${pad(minutes % 60)}m`;
  return `${Math.floor(hours / 24)}d${pad(hours % 24)}h`;
}

/** A count with its noun: `1 session`, `2 sessions`. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

function pad(value: number): string {
  return String(value).padStart(2, '0');
}
