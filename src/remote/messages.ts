// messages.ts: the messages between a shim and the resident, apart from the sections of requests.
//
// The protocol grows at the ends: bytes after the known fields of a message, and kinds that are
// unknown, are passed over.

import { counters } from '../spec/counters.js';
import { forwardFields } from '../spec/fields.js';
import type { NativeStats } from '../engine/binding.js';
import type { Protocol, SourceAddress } from '../types/endpoints.js';
import { CONNECT_LATENCY_BUCKETS_MICROS } from '../types/forward-stats.js';
import { Reader, WireError, Writer } from './wire.js';

/** The first byte of each message from the resident. */
export const ALIVE = 'a';
export const REQUEST = 'r';

/** The first byte of each message from a shim. */
export const fromShim = {
  hello: 'H',
  answer: 'k',
  gone: 'g',
  ended: 'e',
  failed: 'f',
  reload: 'q',
  control: 'c',
  bye: 'b',
} as const;

export const protocols: readonly Protocol[] = ['tcp', 'udp'];

/** What an index stands for. A newer shim may have words that are unknown here. */
export function wordAt<T extends string>(words: readonly T[], index: number): T {
  const word = words[index];
  if (word === undefined) throw new WireError(`there is no ${index} in ${words.join(', ')}`);
  return word;
}

/** A namespace that a shim holds open. */
export interface ShimNetns {
  readonly slot: number;
  /** Empty: the shim's own. */
  readonly path: string;
  /** Device and inode, as {@link fileIdentity} writes them. */
  readonly identity: string;
}

/** A forward of a shim. */
export interface ShimForward {
  readonly id: number;
  readonly protocol: Protocol;
  readonly sourceAddress: SourceAddress;
  readonly isDraining: boolean;
  readonly slot: number;
  readonly host: { readonly address: string; readonly port: number; readonly dualStack: boolean };
  readonly container: { readonly address: string; readonly port: number };
}

/** What a shim has when it has been ready before it came. */
export interface ShimState {
  /** An id that no forward has had, and none after it either. */
  readonly nextId: number;
  readonly namespaces: readonly ShimNetns[];
  readonly forwards: readonly ShimForward[];
  /** What an earlier resident has noted. */
  readonly blob: Buffer;
  /** What the shim has done by itself since then, by names of notes. Empty if it is too old. */
  readonly ownNotes: Readonly<Record<string, string>>;
}

/** How a shim introduces itself. */
export interface Hello {
  readonly protocol: number;
  /** Of the package that it is from. */
  readonly version: string;
  readonly pid: number;
  readonly ageMs: number;
  readonly maxOpenFiles: number;
  readonly inheritedFds: readonly number[];
  readonly environment: Readonly<Record<string, string>>;
  readonly workingDirectory: string;
  readonly counterNames: readonly string[];
  /** As the caller wrote it. */
  readonly configuration: Buffer;
  /** Undefined before it is ready. */
  readonly state: ShimState | undefined;
}

/** What became of a request. */
export interface Answer {
  readonly sequence: number;
  readonly failure: SectionFailure | undefined;
  /** Of the sections that were carried out. */
  readonly results: readonly Buffer[];
}

/** Why a request ended early. */
export interface SectionFailure {
  /** Negative. */
  readonly errno: number;
  readonly syscall: string;
  /** Which section. */
  readonly section: number;
  /** What in it. */
  readonly index?: number;
}

const READY = 1;
const NO_INDEX = 0xffffffff;

/** The payload of {@link ALIVE}. */
export function writeAlive(version: string): Buffer {
  const to = new Writer();
  to.text(version);
  return to.written();
}

/** The payload of {@link fromShim.hello}. */
export function readHello(payload: Buffer): Hello {
  const from = new Reader(payload);
  const protocol = from.u16();
  const version = from.text();
  const isReady = (from.u32() & READY) !== 0;
  const common = {
    protocol,
    version,
    pid: from.i32(),
    ageMs: from.u64(),
    maxOpenFiles: from.u32(),
    inheritedFds: from.list(() => from.i32()),
    environment: readVariables(from),
    workingDirectory: from.text(),
    counterNames: from.list(() => from.text()),
    configuration: from.bytes(),
  };
  return { ...common, state: isReady ? readState(from) : undefined };
}

function readVariables(from: Reader): Record<string, string> {
  return Object.fromEntries(from.list(() => [from.text(), from.text()] as const));
}

function readState(from: Reader): ShimState {
  return {
    nextId: from.i32(),
    namespaces: from.list(() => {
      const [slot, path] = [from.u32(), from.text()];
      return { slot, path, identity: readIdentity(from) };
    }),
    forwards: from.list(() => readForward(from)),
    blob: from.bytes(),
    ownNotes: from.left === 0 ? {} : readVariables(from),
  };
}

function readForward(from: Reader): ShimForward {
  const id = from.i32();
  const protocol = wordAt(protocols, from.u8());
  const sourceAddress = wordAt(forwardFields.sourceAddress.values, from.u8());
  const dualStack = from.flag();
  const isDraining = from.flag();
  const slot = from.u32();
  const host = { ...from.endpoint(), dualStack };
  return { id, protocol, sourceAddress, isDraining, slot, host, container: from.endpoint() };
}

/** Device and inode. */
export function readIdentity(from: Reader): string {
  return `${from.u64()}:${from.u64()}`;
}

/** The payload of {@link fromShim.answer}. */
export function readAnswer(payload: Buffer): Answer {
  const from = new Reader(payload);
  const sequence = from.u32();
  const [errno, section, index, syscall] = [from.i32(), from.u32(), from.u32(), from.text()];
  const results = from.list(() => from.bytes());
  if (errno === 0) return { sequence, failure: undefined, results };
  const failure = { errno, syscall, section, ...(index !== NO_INDEX && { index }) };
  return { sequence, failure, results };
}

/** The payload of {@link fromShim.gone}: ids of forwards. */
export function readGone(payload: Buffer): number[] {
  const from = new Reader(payload);
  return from.list(() => from.i32());
}

/** The payload of {@link fromShim.reload}. */
export function readReload(payload: Buffer): { readonly client: number; readonly request: Buffer } {
  const from = new Reader(payload);
  return { client: from.u32(), request: from.bytes() };
}

/** The counters of those who have had nothing. */
export function noStats(): CountedStats {
  const stats = Object.fromEntries(counts.map((name) => [name, 0])) as Record<Count, number>;
  const connectLatency = [...CONNECT_LATENCY_BUCKETS_MICROS, 0].map(() => 0);
  return { ...stats, connectLatency };
}

type CountedStats = Record<Count, number> & { connectLatency: readonly number[] };

/** Reads records of counters. */
export type StatsReader = (from: Reader) => NativeStats;

type Count = Exclude<keyof NativeStats, 'connectErrno' | 'connectLatency'>;

/** Every count that there is here. */
const counts = Object.entries(counters)
  .filter(([, row]) => !('type' in row))
  .map(([name]) => name) as Count[];

/**
 * A reader of the records of one shim. What it does not count is 0 here; what only it counts is
 * passed over.
 * @param names - What the counters of its records are, in order.
 */
export function statsReader(names: readonly string[]): StatsReader {
  const known = new Set<string>(counts);
  const places = names.map((name) => (known.has(name) ? (name as Count) : undefined));
  return (from) => {
    const { connectLatency: _, ...stats } = noStats();
    stats.sessionsOpen = from.u64();
    const length = from.u16();
    for (let index = 0; index < length; index++) {
      const value = from.u64();
      const name = places[index];
      if (name !== undefined) stats[name] = value;
    }
    const connectLatency = from.times(from.u16(), () => from.u64());
    const connectErrno = from.i32();
    return { ...stats, connectLatency, ...(connectErrno !== 0 && { connectErrno }) };
  };
}
