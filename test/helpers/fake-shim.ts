import { Channel, closeAll } from '../../src/remote/channel.js';
import { Reader, Writer } from '../../src/remote/wire.js';

/** What a shim says of itself at first. */
export interface HelloFacts {
  readonly counterNames?: readonly string[];
  readonly configuration?: string;
  /** What follows when it is ready. */
  readonly state?: (to: Writer) => void;
  /** What only a newer shim says. */
  readonly more?: string;
}

/** A message. */
export function written(write: (to: Writer) => void): Buffer {
  const to = new Writer();
  write(to);
  return Buffer.from(to.written());
}

export function helloOf(facts: HelloFacts = {}): Buffer {
  const { counterNames = [], configuration = '{}', state, more = '' } = facts;
  return written((to) => {
    to.u16(1);
    to.text('1.2.3');
    to.u32(state === undefined ? 0 : 1);
    to.i32(4321);
    to.u64(99);
    to.u32(1_024);
    to.list([3, 5], (fd) => to.i32(fd));
    to.list(['HOME', 'TMPDIR'], (name) => {
      to.text(name);
      to.text(`/of ${name}`);
    });
    to.text('/run');
    to.list(counterNames, (name) => to.text(name));
    to.bytes(Buffer.from(configuration));
    state?.(to);
    to.raw(Buffer.from(more));
  });
}

/** An answer. @param failure - Of the section after those that have results. */
export function answerOf(sequence: number, results: readonly Buffer[], failure?: Failure): Buffer {
  return written((to) => {
    to.u32(sequence);
    to.i32(failure?.errno ?? 0);
    to.u32(failure === undefined ? 0 : results.length);
    to.u32(failure?.index ?? 0xffffffff);
    to.text(failure?.syscall ?? '');
    to.list(results, (result) => to.bytes(result));
  });
}

/** A section of a request, as it has come. */
export interface AskedSection {
  readonly kind: string;
  readonly content: Reader;
}

/** A request, as it has come. */
export interface Asked {
  readonly sequence: number;
  readonly sections: readonly AskedSection[];
}

/** Why a section fails. */
export interface Failure {
  readonly errno: number;
  readonly syscall: string;
  readonly index?: number;
}

/** The other end of a connection: notes what it is asked, and says what it is told to. */
export class FakeShim {
  readonly asked: Asked[] = [];
  /** How many descriptors came with each message. */
  readonly descriptors: number[] = [];
  alive: string | undefined;
  ended = false;
  readonly #channel: Channel;

  /** @param reply - What each section results in. Without it, nothing is answered by itself. */
  constructor(fd: number, reply?: (section: AskedSection) => Buffer | Failure) {
    this.#channel = new Channel(fd, {
      onMessage: (kind, payload, fds) => {
        closeAll(fds);
        const from = new Reader(Buffer.from(payload));
        if (kind === 'a') {
          this.alive = from.text();
          return;
        }
        this.descriptors.push(fds.length);
        const sequence = from.u32();
        const sections = [];
        while (from.left > 0) {
          const kindOfSection = String.fromCharCode(from.u8());
          sections.push({ kind: kindOfSection, content: new Reader(from.bytes()) });
        }
        this.asked.push({ sequence, sections });
        if (reply !== undefined) this.#answer(sequence, sections.map(reply));
      },
      onEnd: () => {
        this.ended = true;
      },
    });
  }

  say(kind: string, payload: Buffer = Buffer.alloc(0), fds: readonly number[] = []): void {
    this.#channel.send(kind, payload, fds);
  }

  #answer(sequence: number, replies: readonly (Buffer | Failure)[]): void {
    const failed = replies.findIndex((each) => !Buffer.isBuffer(each));
    const results = replies.slice(0, failed < 0 ? undefined : failed) as Buffer[];
    this.say('k', answerOf(sequence, results, replies[failed] as Failure | undefined));
  }

  close(): void {
    this.#channel.close();
  }
}
