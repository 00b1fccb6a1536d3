// log.ts: a log of levels and records. Loaded only where something is logged.
//
// pino decides by the level, takes the time and writes the JSON. It hands over the record with the
// line, so that sinks that need something else than JSON format the record.

import { pino } from 'pino';
import type { Facts, Log, LogRecord, RecordSink } from './log-types.js';

/** What a log is made of. */
export interface LogOptions {
  readonly level: string;
  /** Facts of every record. */
  readonly facts: Facts;
  readonly sink: RecordSink;
}

/** Makes a log. Each line of JSON has `level`, `time`, `message` and the facts. */
export function makeLog({ level, facts, sink }: LogOptions): Log {
  const stream = new RecordStream(facts, sink);
  const logger = pino(
    {
      level,
      base: facts,
      messageKey: 'message',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    stream,
  );
  // pino would write a key that a line has already a second time, which strict readers of JSON
  // reject.
  const taken = new Set(['level', 'time', 'message', ...Object.keys(facts)]);
  return {
    debug: (own, message) => logger.debug(without(own, taken), message),
    info: (own, message) => logger.info(without(own, taken), message),
    warn: (own, message) => logger.warn(without(own, taken), message),
    error: (own, message) => logger.error(without(own, taken), message),
    close: () => stream.close(),
  };
}

/** Where pino writes. It sets the `last…` fields before each line. */
class RecordStream {
  readonly [pino.symbols.needsMetadataGsym] = true;
  lastLevel = 0;
  /** With quotation marks, as in the line. */
  lastTime = '';
  lastMsg = '';
  lastObj: object = {};
  readonly #facts: Facts;
  readonly #sink: RecordSink;
  #isOpen = true;

  constructor(facts: Facts, sink: RecordSink) {
    this.#facts = facts;
    this.#sink = sink;
  }

  write(json: string): void {
    // The number of a closed descriptor may soon be that of another file.
    if (!this.#isOpen) return;
    const record: LogRecord = {
      level: pino.levels.labels[this.lastLevel] ?? '',
      time: this.lastTime.slice(1, -1),
      message: this.lastMsg,
      facts: { ...this.#facts, ...this.lastObj },
      json,
    };
    this.#sink.write(record);
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#sink.close?.();
  }
}

function without(own: object, taken: ReadonlySet<string>): Facts {
  return Object.fromEntries(Object.entries(own).filter(([key]) => !taken.has(key)));
}
