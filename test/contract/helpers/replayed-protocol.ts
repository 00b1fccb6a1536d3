// replayed-protocol.ts: an end of an earlier version, which says again what was recorded of it.

import { mkdirSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { constants } from 'node:os';
import { Channel, closeAll } from '../../../src/remote/channel.js';
import { listenUnix } from '../../../src/system.js';
import { answerOf } from '../../helpers/fake-shim.js';
import { movedPayload, type RecordedFrame, type Recording } from './recorded-protocol.js';
import { readAnswer, Unpacker } from './shim-frames.js';

/** A section of a request. */
export interface RecordedSection {
  readonly kind: string;
  readonly content: Buffer;
}

/** The sections of a request. */
export function sectionsOf(request: Buffer): RecordedSection[] {
  const sections: RecordedSection[] = [];
  for (let at = 4; at < request.length;) {
    const end = at + 5 + request.readUInt32LE(at + 1);
    const kind = String.fromCharCode(request.readUInt8(at));
    sections.push({ kind, content: request.subarray(at + 5, end) });
    at = end;
  }
  return sections;
}

/** Results by the kind of the section, in their order. */
type Results = Map<string, Buffer[]>;

/** What place and time make different: texts, notes, and the identities of files. */
const INCOMPARABLE = ['B', 'C', 'L', 'P', 'W'];

/** A shim that knows the sections of its time, and results in what it has said then. */
export class ReplayedShim {
  readonly #channel: Channel;
  readonly #recorded: RecordedSection[] = [];
  readonly #results: Results = new Map();
  readonly #asked: RecordedSection[] = [];
  readonly #says: Buffer[];

  constructor(fd: number, recording: Recording, frames: readonly RecordedFrame[], folder: string) {
    const payload = (frame: RecordedFrame) => movedPayload(frame, recording, { folder });
    const of = (from: RecordedFrame['from'], kind: string) =>
      frames.filter((frame) => frame.from === from && frame.kind === kind).map(payload);
    const answers = of('shim', 'k').map(readAnswer);
    for (const [index, request] of of('resident', 'r').entries()) {
      const sections = sectionsOf(request);
      this.#recorded.push(...sections);
      for (const [at, { kind }] of sections.entries()) {
        const result = answers[index]?.results[at] ?? Buffer.alloc(0);
        this.#results.set(kind, [...(this.#results.get(kind) ?? []), result]);
      }
    }
    this.#says = of('shim', 'q');
    const [hello = Buffer.alloc(0)] = of('shim', 'H');
    this.#channel = new Channel(fd, {
      onMessage: (kind, message, fds) => {
        closeAll(fds);
        if (kind === 'a') this.#channel.send('H', hello);
        if (kind === 'r') this.#answer(Buffer.from(message));
      },
      onEnd: () => undefined,
    });
  }

  #answer(request: Buffer): void {
    const sections = sectionsOf(request);
    this.#asked.push(...sections);
    const results: Buffer[] = [];
    for (const { kind } of sections) {
      const known = this.#results.get(kind);
      if (known === undefined) {
        const failure = { errno: -constants.errno.ENOSYS, syscall: 'section' };
        this.#channel.send('k', answerOf(request.readUInt32LE(), results, failure));
        return;
      }
      results.push((known.length > 1 ? known.shift() : known[0]) ?? Buffer.alloc(0));
    }
    this.#channel.send('k', answerOf(request.readUInt32LE(), results));
    // What comes after ready, or after the first request to one that was.
    for (const message of this.#says.splice(0)) this.#channel.send('q', message);
  }

  /**
   * Whether it has been asked for all that was asked for then without a client of the control
   * socket.
   */
  isDone(): boolean {
    const kinds = new Set(this.#asked.map(({ kind }) => kind));
    const byClients = ['D', 'S', 'T', 'U', 'V', 'Y'];
    const expected = [...this.#results.keys()].filter((kind) => !byClients.includes(kind));
    return expected.every((kind) => kinds.has(kind));
  }

  /**
   * What is asked for in another form: sections that begin like none of their kind that was
   * recorded.
   */
  strange(): { readonly kind: string; readonly content: string }[] {
    const known = this.#asked.filter(({ kind }) => {
      return this.#results.has(kind) && !INCOMPARABLE.includes(kind);
    });
    const isLike = ({ kind, content }: RecordedSection) =>
      this.#recorded.some(
        (each) =>
          each.kind === kind && each.content.equals(content.subarray(0, each.content.length)),
      );
    return known
      .filter((each) => !isLike(each))
      .map(({ kind, content }) => ({ kind, content: content.toString('hex') }));
  }

  /** What the clients of the reload socket were told. */
  replies(): string[] {
    return this.#asked.flatMap(({ kind, content }) => {
      // After the client's number.
      return kind === 'P' ? [new Unpacker(content.subarray(4)).text()] : [];
    });
  }

  [Symbol.dispose](): void {
    this.#channel.close();
  }
}

/** A resident that asks what was asked then. */
export class ReplayedResident {
  readonly #channel: Channel;
  readonly #folder: string;
  readonly #requests: { readonly payload: Buffer; readonly fds: number }[];
  readonly #expected: number[];
  readonly #answered: number[] = [];

  constructor(
    fd: number,
    recording: Recording,
    frames: readonly RecordedFrame[],
    to: { readonly folder: string; readonly port: number },
  ) {
    const of = (from: RecordedFrame['from'], kind: string) =>
      frames
        .filter((frame) => frame.from === from && frame.kind === kind)
        .map((frame) => ({ payload: movedPayload(frame, recording, to), fds: frame.fds }));
    this.#folder = join(to.folder, 'replayed');
    this.#requests = of('resident', 'r');
    this.#expected = of('shim', 'k').map(({ payload }) => readAnswer(payload).errno);
    this.#channel = new Channel(fd, {
      onMessage: (kind, payload, fds) => {
        closeAll(fds);
        if (kind === 'k') this.#answered.push(readAnswer(Buffer.from(payload)).errno);
        if (kind === 'H' || kind === 'k') this.#ask();
      },
      onEnd: () => undefined,
    });
    const [alive = { payload: Buffer.alloc(0) }] = of('resident', 'a');
    this.#channel.send('a', alive.payload);
  }

  #ask(): void {
    const request = this.#requests.shift();
    if (request === undefined) return;
    this.#channel.send('r', request.payload, this.#descriptors(request.fds));
  }

  /**
   * In place of those that were sent then: a listening socket and its folder, and standard error.
   */
  #descriptors(count: number): number[] {
    if (count === 0) return [];
    mkdirSync(this.#folder, { recursive: true });
    const folderFd = openSync(this.#folder, 'r');
    rmSync(join(this.#folder, 'socket'), { force: true });
    const listener = listenUnix('stream', folderFd, 'socket');
    return [listener, folderFd, ...(count > 2 ? [openSync('/dev/null', 'w')] : [])];
  }

  isDone(): boolean {
    return this.#answered.length >= this.#expected.length;
  }

  /** The requests whose outcome is another one. */
  failures(): { readonly request: number; readonly errno: number | undefined }[] {
    return this.#expected.flatMap((errno, request) =>
      this.#answered[request] === errno ? [] : [{ request, errno: this.#answered[request] }],
    );
  }

  [Symbol.dispose](): void {
    this.#channel.close();
  }
}
