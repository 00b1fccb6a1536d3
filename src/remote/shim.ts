// shim.ts: the connection to one shim: its hello, requests and their answers, and what it says by
// itself.

import { readlinkSync } from 'node:fs';
import type { NativeConnectFailure, NativeEndedSession, NativeStats } from '../engine/binding.js';
import { SpliceportError } from '../errors.js';
import { peerCredentials } from '../system.js';
import { Channel, closeAll } from './channel.js';
import {
  ALIVE,
  fromShim,
  readAnswer,
  readGone,
  readHello,
  readReload,
  REQUEST,
  statsReader,
  writeAlive,
  type Answer,
  type Hello,
  type SectionFailure,
  type StatsReader,
} from './messages.js';
import { readAllEnded, readFailures, type Section } from './sections.js';
import { Reader, WireError, Writer } from './wire.js';

/** How long a shim may take to answer. */
export const REQUEST_TIMEOUT_MS = 10_000;

/** What a shim says of itself and its container. */
export interface ShimEvents {
  /** The first message. */
  onHello(hello: Hello): void;
  /** A client of the reload socket asks for something, and waits for a reply. */
  onReload(client: number, request: Buffer): void;
  /** A client of the control socket. The descriptor is the receiver's. */
  onControlClient(fd: number): void;
  /** The connection is over. Requests under way have been rejected. */
  onEnd(error?: unknown): void;
}

/** What a shim says when it ends. */
export interface LastWords {
  /** Of all that the container has had. */
  readonly stats: NativeStats;
  /** The sessions whose ends nobody has taken. */
  readonly ended: readonly NativeEndedSession[];
}

/** What a shim says of its forwards. */
export interface ForwardEvents {
  /** Removed forwards have lost their last sessions. */
  onGone(ids: readonly number[]): void;
  /** Forwards have begun to fail. */
  onFailed(failures: readonly NativeConnectFailure[]): void;
  /** There are ends of sessions to take; said once, until they are taken. */
  onSessionsEnded(): void;
  /** The shim has ended. @param lastWords - Absent if it could say nothing any more. */
  onEnd(lastWords: LastWords | undefined): void;
}

/** Why a section failed. */
export interface ShimFailure extends SectionFailure {
  /** The shim, as this process sees it: its limits are those that matter. */
  readonly pid: number;
}

/**
 * A section that failed, and what became of those before it. Those after it were not carried out.
 */
export class RequestError extends SpliceportError {
  static {
    this.prototype.name = 'RequestError';
  }

  readonly failure: ShimFailure;
  /** Of the sections before. */
  readonly results: readonly unknown[];

  constructor(failure: ShimFailure, results: readonly unknown[]) {
    const { section, syscall, errno } = failure;
    super('REQUEST_FAILED', `section ${section} failed: ${syscall} ${errno}`);
    this.failure = failure;
    this.results = results;
  }
}

type ResultsOf<S extends readonly Section<unknown>[]> = {
  -readonly [K in keyof S]: S[K] extends Section<infer T> ? T : never;
};

interface Pending {
  readonly sections: readonly Section<unknown>[];
  readonly resolve: (results: unknown[]) => void;
  readonly reject: (error: unknown) => void;
  readonly timer: NodeJS.Timeout | undefined;
}

/** A connected shim. */
export class Shim {
  readonly #channel: Channel;
  readonly #events: ShimEvents;
  readonly #pid: number;
  readonly #pending = new Map<number, Pending>();
  #forwardEvents: ForwardEvents | undefined;
  #nextSequence = 1;
  #hello: Hello | undefined;
  #readStats: StatsReader = statsReader([]);
  #lastWords: LastWords | undefined;
  #isOpen = true;

  /**
   * Starts to read, and says that somebody is there.
   * @param fd - The connection. Taken over, unless this throws.
   * @param version - Of this package.
   * @throws SpliceportSystemError such as `ENOSPC` if no watch is left
   */
  constructor(fd: number, version: string, events: ShimEvents) {
    this.#events = events;
    this.#pid = peerCredentials(fd).pid;
    this.#channel = new Channel(fd, {
      onMessage: (kind, payload, fds) => this.#onMessage(kind, payload, fds),
      onEnd: (error) => this.#end(error),
    });
    this.#channel.send(ALIVE, writeAlive(version));
  }

  /** False once the connection is over. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** How the shim has introduced itself; undefined until it has. */
  get hello(): Hello | undefined {
    return this.#hello;
  }

  /** Whether a pid means the same process there as here. */
  get sharesPids(): boolean {
    try {
      return readlinkSync(`/proc/${this.#pid}/ns/pid`) === readlinkSync('/proc/self/ns/pid');
    } catch {
      return false;
    }
  }

  /** Reads records of counters as this shim writes them. */
  get statsReader(): StatsReader {
    return this.#readStats;
  }

  /** Names who is told of the forwards: nobody at first. */
  tellOfForwards(events: ForwardEvents): void {
    this.#forwardEvents = events;
  }

  /**
   * Has the shim carry out some sections, in order.
   * @param timeoutMs - How long that may take; it may still be carried out later. Infinity: as long
   * as it takes.
   * @returns What each results in.
   * @throws RequestError when a section fails
   * @throws SpliceportError `ETIMEDOUT`, `ENOBUFS`, or `ECONNRESET` when the connection is over
   */
  request<const S extends readonly Section<unknown>[]>(
    sections: S,
    timeoutMs = REQUEST_TIMEOUT_MS,
  ): Promise<ResultsOf<S>> {
    return new Promise<unknown[]>((resolve, reject) => {
      const fds = sections.flatMap((section) => section.fds ?? []);
      if (!this.#isOpen) {
        closeAll(fds);
        reject(connectionLost());
        return;
      }
      const sequence = this.#nextSequence++;
      const timer = Number.isFinite(timeoutMs)
        ? setTimeout(() => this.#giveUp(sequence, timeoutMs), timeoutMs).unref()
        : undefined;
      this.#pending.set(sequence, { sections, resolve, reject, timer });
      if (this.#channel.send(REQUEST, requestOf(sequence, sections), fds)) return;
      this.#take(sequence)?.reject(this.#channel.peerReads ? noRoom() : connectionLost());
    }) as Promise<ResultsOf<S>>;
  }

  /** Ends the connection; requests under way are rejected. May be called twice. */
  close(): void {
    this.#channel.close();
    this.#end();
  }

  #onMessage(kind: string, payload: Buffer, fds: readonly number[]): void {
    if (this.#hello === undefined && kind !== fromShim.hello) {
      closeAll(fds);
      throw new WireError('a shim introduces itself first');
    }
    if (kind === fromShim.control && fds[0] !== undefined) {
      closeAll(fds.slice(1));
      this.#events.onControlClient(fds[0]);
      return;
    }
    closeAll(fds);
    this.#onPlainMessage(kind, payload);
  }

  #onPlainMessage(kind: string, payload: Buffer): void {
    switch (kind) {
      case fromShim.hello:
        this.#onHello(readHello(payload));
        break;
      case fromShim.answer:
        this.#onAnswer(readAnswer(payload));
        break;
      case fromShim.gone:
        this.#forwardEvents?.onGone(readGone(payload));
        break;
      case fromShim.failed:
        this.#forwardEvents?.onFailed(readFailures(new Reader(payload)));
        break;
      case fromShim.ended:
        this.#forwardEvents?.onSessionsEnded();
        break;
      case fromShim.reload: {
        const { client, request } = readReload(payload);
        this.#events.onReload(client, request);
        break;
      }
      case fromShim.bye: {
        const from = new Reader(payload);
        this.#lastWords = { stats: this.#readStats(from), ended: readAllEnded(from) };
        break;
      }
    }
  }

  #onHello(hello: Hello): void {
    this.#hello = hello;
    this.#readStats = statsReader(hello.counterNames);
    this.#events.onHello(hello);
  }

  #onAnswer({ sequence, failure, results }: Answer): void {
    // It is too late for those that nobody waits for any more.
    const pending = this.#take(sequence);
    if (pending === undefined) return;
    try {
      const values = pending.sections
        .slice(0, failure?.section)
        .map((section, index) => section.read(new Reader(results[index] ?? Buffer.alloc(0))));
      if (failure === undefined) pending.resolve(values);
      else pending.reject(new RequestError({ ...failure, pid: this.#pid }, values));
    } catch (error) {
      pending.reject(error);
    }
  }

  #giveUp(sequence: number, timeoutMs: number): void {
    this.#take(sequence)?.reject(noAnswer(timeoutMs));
  }

  #take(sequence: number): Pending | undefined {
    const pending = this.#pending.get(sequence);
    this.#pending.delete(sequence);
    clearTimeout(pending?.timer);
    return pending;
  }

  #end(error?: unknown): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    for (const sequence of [...this.#pending.keys()]) {
      this.#take(sequence)?.reject(connectionLost(error));
    }
    this.#forwardEvents?.onEnd(this.#lastWords);
    this.#events.onEnd(error);
  }
}

function requestOf(sequence: number, sections: readonly Section<unknown>[]): Buffer {
  const to = new Writer();
  to.u32(sequence);
  for (const { kind, write } of sections) {
    to.u8(kind.charCodeAt(0));
    to.sized(() => write(to));
  }
  return to.written();
}

/** A shim that is stopped, or very busy. */
export function noAnswer(timeoutMs: number): SpliceportError {
  const message = `The process that has the ports has not answered for ${timeoutMs} ms`;
  return new SpliceportError('ETIMEDOUT', message);
}

function noRoom(): SpliceportError {
  const message = 'The process that has the ports does not read what it is asked';
  return new SpliceportError('ENOBUFS', message);
}

/** A shim that has ended. */
export function connectionLost(cause?: unknown): SpliceportError {
  const message = 'The process that has the ports has ended';
  return new SpliceportError('ECONNRESET', message, { cause });
}
