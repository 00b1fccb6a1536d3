// journal.ts: records to the journal, by its own protocol: a datagram of fields on a unix socket.
// @see https://systemd.io/JOURNAL_NATIVE_PROTOCOL

import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { connectUnix, send, type UnixSocketType } from '../system.js';
import type { LogRecord, RecordSink } from './log-types.js';

/** A datagram of more is refused by some kernels' settings; what is longer is cut. */
const MAX_VALUE_BYTES = 32 * 1024;

/** Of syslog(3). */
const priorities: Readonly<Record<string, number>> = { debug: 7, info: 6, warn: 4, error: 3 };

/** A connection to the journal, made anew when the journal has been started anew. */
export class Journal implements RecordSink {
  readonly #path: string;
  readonly rawFd: number | undefined;
  #fd: number;

  /**
   * Connects.
   * @throws Error such as ENOENT where there is no journal
   */
  constructor(path: string) {
    this.#path = path;
    this.#fd = connect('dgram', path);
    this.rawFd = openStream(path);
  }

  write(record: LogRecord): void {
    const datagram = datagramOf(record);
    try {
      send(this.#fd, datagram);
    } catch (error) {
      // It is not there to log through, or has more than enough to read: then this record is lost.
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return;
      this.#sendAnew(datagram);
    }
  }

  close(): void {
    closeSync(this.#fd);
    if (this.rawFd !== undefined) closeSync(this.rawFd);
  }

  #sendAnew(datagram: Buffer): void {
    try {
      const fd = connect('dgram', this.#path);
      closeSync(this.#fd);
      this.#fd = fd;
      send(fd, datagram);
    } catch {
      // The next record tries again.
    }
  }
}

function connect(type: UnixSocketType | 'dgram', path: string): number {
  const folderFd = openSync(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    return connectUnix(type, folderFd, basename(path));
  } finally {
    closeSync(folderFd);
  }
}

/**
 * The socket beside it, through which services write to the journal; undefined where there is none.
 * @see sd_journal_stream_fd(3)
 */
function openStream(path: string): number | undefined {
  // Its identifier, no unit, priority, no prefixes of levels, and nothing to be passed on.
  const header = `spliceport\n\n${priorities['error']}\n0\n0\n0\n0\n`;
  try {
    const fd = connect('stream', join(dirname(path), 'stdout'));
    try {
      writeSync(fd, header);
      return fd;
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  } catch {
    return undefined;
  }
}

function datagramOf({ level, message, facts }: LogRecord): Buffer {
  const own = Object.entries(facts)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => field(nameOf(key), textOf(value)));
  return Buffer.concat([
    field('MESSAGE', message),
    field('PRIORITY', String(priorities[level] ?? priorities['info'])),
    field('SYSLOG_IDENTIFIER', 'spliceport'),
    ...own,
  ]);
}

/** `name=value`, or, where the value has line breaks, its length before it. */
function field(name: string, text: string): Buffer {
  const value = Buffer.from(text).subarray(0, MAX_VALUE_BYTES);
  if (!value.includes('\n')) return Buffer.concat([Buffer.from(`${name}=`), value, NEWLINE]);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(value.length));
  return Buffer.concat([Buffer.from(`${name}\n`), length, value, NEWLINE]);
}

const NEWLINE = Buffer.of(0x0a);

/** `sessionsOpen` → `SPLICEPORT_SESSIONS_OPEN` */
function nameOf(key: string): string {
  const words = key.replaceAll(/(?<=[a-z0-9])(?=[A-Z])/g, '_').replaceAll(/\W/g, '_');
  return `SPLICEPORT_${words.toUpperCase()}`;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
