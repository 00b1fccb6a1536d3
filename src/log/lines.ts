// lines.ts: reads log lines back, for places that take no JSON.

/** A log line, taken apart. */
export interface LogLine {
  readonly time: string;
  readonly level: string;
  readonly message: string;
  /** Everything else. */
  readonly facts: Readonly<Record<string, unknown>>;
}

/** Takes a line of JSON apart. */
export function parseLine(line: string): LogLine {
  const { time, level, message, ...facts } = JSON.parse(line) as Record<string, unknown>;
  return { time: String(time), level: String(level), message: String(message), facts };
}

/** `2026-03-01T12:00:00.000Z warn 3 connects failed` */
export function textOf(line: string): string {
  const { time, level, message } = parseLine(line);
  return `${time} ${level} ${message}`;
}
