// sections.ts: what the resident asks of a shim. A request is some sections, which the shim carries
// out in order.

import type { NativeConnectFailure, NativeEndedSession, NativeStats } from '../engine/binding.js';
import { engineFields, forwardFields, shimOrder, type Field } from '../spec/fields.js';
import type { EngineSettings, ForwardSettings, HostRequest } from '../spec/validate.js';
import type { Endpoint, Protocol } from '../types/endpoints.js';
import type { Session, SessionEnding, SessionState } from '../types/session.js';
import { readIdentity, protocols, wordAt, type StatsReader } from './messages.js';
import { WireError, type Reader, type Writer } from './wire.js';

/** One thing that is asked for, and what it results in. */
export interface Section<T = void> {
  readonly kind: string;
  readonly write: (to: Writer) => void;
  readonly read: (result: Reader) => T;
  /** Sent with it. Taken over by the request. */
  readonly fds?: readonly number[];
}

/** Where the sockets of a range listen. */
export interface SocketRange extends Pick<
  HostRequest,
  'address' | 'dualStack' | 'port' | 'protocol'
> {
  readonly count: number;
}

/** Forwards with consecutive ids, which take the sockets that were opened before. */
export interface ForwardRange {
  readonly firstId: number;
  readonly protocol: Protocol;
  readonly slot: number;
  readonly count: number;
  /** Of the first. */
  readonly container: Endpoint;
  readonly settings: ForwardSettings;
}

/** A new target of a forward. */
export interface NewTarget {
  readonly id: number;
  /** Undefined: as it is. */
  readonly slot: number | undefined;
  readonly container: Endpoint;
}

/** A namespace that a shim has opened. */
export interface OpenedNetns {
  readonly slot: number;
  readonly identity: string;
}

/** The file of a listening socket, which the shim removes in the end if it is still the same. */
export interface SocketFile {
  readonly name: string;
  readonly dev: bigint | number;
  readonly ino: bigint | number;
  readonly listenerFd: number;
  readonly folderFd: number;
}

/** Stands for everything that a container has had. */
const ALL = -1;
const SAME_SLOT = -1;

const sessionStates: readonly SessionState[] = ['connecting', 'open', 'half-closed', 'resetting'];
const sessionEndings: readonly SessionEnding[] = [
  ...(['fin', 'client-reset', 'server-reset', 'removed', 'address-gone'] as const),
  ...(['local-failure', 'idle-timeout', 'evicted', 'connect-failed', 'connect-timeout'] as const),
  ...(['denied', 'over-limit', 'over-rate'] as const),
  ...(['proxy-untrusted', 'proxy-malformed', 'proxy-late', 'over-client-limit'] as const),
];

/** Starts the threads that relay. */
export function startEngine(settings: EngineSettings, tellsOfEnds: boolean): Section {
  return plain('E', (to) => {
    writeSettings(to, engineFields, shimOrder.engine, settings);
    to.flag(tellsOfEnds);
    writeSettings(to, engineFields, shimOrder.engineAdded, settings);
  });
}

/** Opens sockets, which the next {@link addForwards} takes; the port of each. All or none. */
export function openSockets(ranges: readonly SocketRange[]): Section<number[]> {
  return {
    kind: 'O',
    write: (to) =>
      to.list(ranges, ({ protocol, address, port, dualStack, count }) => {
        to.u8(protocols.indexOf(protocol));
        to.flag(!dualStack);
        to.u16(count);
        to.endpoint({ address, port });
      }),
    read: (from) => from.list(() => from.u16()),
  };
}

/** Closes the sockets that nothing has taken. */
export function closeSockets(): Section {
  return plain('X', () => undefined);
}

/**
 * Opens a namespace and finds out whether it can be entered. @param path - Empty: the shim's own.
 */
export function openNetns(path: string): Section<OpenedNetns> {
  return {
    kind: 'N',
    write: (to) => to.text(path),
    read: (from) => {
      const slot = from.u32();
      return { slot, identity: readIdentity(from) };
    },
  };
}

/** Closes a namespace. */
export function releaseNetns(slot: number): Section {
  return plain('V', (to) => to.u32(slot));
}

/** Finds out whether servers there can be shown their clients' addresses. */
export function prepareTransparency(slot: number): Section {
  return plain('I', (to) => to.u32(slot));
}

/** Adds forwards; all or none. */
export function addForwards(ranges: readonly ForwardRange[]): Section {
  return plain('A', (to) => {
    to.list(ranges, (range) => writeForwards(to, range));
    for (const { settings } of ranges) {
      to.sized(() => writeSettings(to, forwardFields, shimOrder.forwardAdded, settings));
    }
  });
}

function writeForwards(to: Writer, range: ForwardRange): void {
  const { settings } = range;
  to.i32(range.firstId);
  to.u8(protocols.indexOf(range.protocol));
  writeSetting(to, forwardFields.sourceAddress, settings.sourceAddress);
  to.u32(range.slot);
  to.u16(range.count);
  to.endpoint(range.container);
  writeSettings(to, forwardFields, shimOrder.forward, settings);
}

type Value = boolean | number | string | readonly string[];

function writeSettings<Name extends string>(
  to: Writer,
  fields: Readonly<Record<Name, Field>>,
  names: readonly Name[],
  settings: Readonly<Record<Name, Value>>,
): void {
  for (const name of names) writeSetting(to, fields[name], settings[name]);
}

/** A choice is written as its place among its words. */
function writeSetting(to: Writer, field: Field, value: Value): void {
  if (typeof value === 'boolean') to.flag(value);
  else if (typeof value === 'object') to.list(value, (block) => to.text(block));
  else if (field.type === 'choice') to.u8(field.values.indexOf(String(value)));
  else if (field.type === 'integer' && field.isWide) to.u64(Number(value));
  else to.u32(Number(value));
}

/** Swaps targets; all or none. */
export function retargetForwards(targets: readonly NewTarget[]): Section {
  return plain('T', (to) =>
    to.list(targets, ({ id, slot, container }) => {
      to.i32(id);
      to.i32(slot ?? SAME_SLOT);
      to.endpoint(container);
    }),
  );
}

/**
 * Ends forwards. The ports are free when it is done; each id is named by a message once its last
 * session has ended.
 */
export function removeForwards(ids: readonly number[], drainMs: number): Section {
  return plain('D', (to) => {
    to.i64(drainMs);
    to.list(ids, (id) => to.i32(id));
  });
}

/** Counters, for each id in order. @param ids - Undefined: of all forwards that there have been. */
export function readStats(
  ids: readonly (number | undefined)[],
  read: StatsReader,
): Section<NativeStats[]> {
  return {
    kind: 'S',
    write: (to) => to.list(ids, (id) => to.i32(id ?? ALL)),
    read: (from) => from.list(() => read(from)),
  };
}

/** The sessions and flows that are open. */
export function readSessions(): Section<Session[]> {
  return {
    kind: 'Y',
    write: () => undefined,
    read: (from) =>
      from.list(() => {
        const forwardId = from.i32();
        const protocol = wordAt(protocols, from.u8());
        const state = wordAt(sessionStates, from.u8());
        const [client, target, source] = [from.endpoint(), from.endpoint(), from.endpoint()];
        return {
          ...{ forwardId, protocol, client, target },
          ...(source.address !== '' && { source }),
          state,
          bytesToContainer: from.u64(),
          bytesToHost: from.u64(),
          ageMs: from.u64(),
        };
      }),
  };
}

/** Takes ends of sessions and flows out of their queue. */
export function takeEnded(most: number): Section<NativeEndedSession[]> {
  return {
    kind: 'U',
    write: (to) => to.u32(most),
    read: readAllEnded,
  };
}

/** Reads a list of ended sessions. */
export function readAllEnded(from: Reader): NativeEndedSession[] {
  return from.list(() => readEnded(from));
}

function readEnded(from: Reader): NativeEndedSession {
  const forwardId = from.i32();
  const protocol = wordAt(protocols, from.u8());
  const [client, target] = [from.endpoint(), from.endpoint()];
  const [bytesToContainer, bytesToHost, durationMicros] = [from.u64(), from.u64(), from.u64()];
  const connectMicros = from.i64();
  const ending = wordAt(sessionEndings, from.u8());
  const errno = from.i32();
  return {
    ...{ forwardId, protocol, client, target, bytesToContainer, bytesToHost, durationMicros },
    ...(connectMicros >= 0 && { connectMicros }),
    ending,
    ...(errno !== 0 && { errno }),
  };
}

/** Reads a list of the forwards that have begun to fail. */
export function readFailures(from: Reader): NativeConnectFailure[] {
  return from.list(() => {
    const id = from.i32();
    const ending = wordAt(sessionEndings, from.u8());
    const errno = from.i32();
    if (ending !== 'connect-failed' && ending !== 'connect-timeout') {
      throw new WireError(`a forward does not fail by ${ending}`);
    }
    return { id, ending, ...(errno !== 0 && { errno }) };
  });
}

/** Has the shim accept the clients of a reload socket. */
export function listenForReloads(type: 'seqpacket' | 'stream', file: SocketFile): Section {
  return listener('L', file, (to) => to.flag(type === 'stream'));
}

/**
 * Has the shim accept the clients of a control socket. @param folder - Removed in the end if it is
 * empty; '' for none.
 */
export function listenForControl(file: SocketFile, folder: string): Section {
  const section = listener('C', file, () => undefined);
  const write = (to: Writer) => {
    section.write(to);
    to.text(folder);
  };
  return { ...section, write };
}

/** Closes the control socket and removes its file. */
export function stopControl(): Section {
  return plain('C', (to) => {
    to.text('');
    to.u64(0);
    to.u64(0);
    to.text('');
  });
}

function listener(kind: string, file: SocketFile, writeFirst: (to: Writer) => void): Section {
  const { name, dev, ino, listenerFd, folderFd } = file;
  const write = (to: Writer) => {
    writeFirst(to);
    to.text(name);
    to.u64(dev);
    to.u64(ino);
  };
  return { ...plain(kind, write), fds: [listenerFd, folderFd] };
}

/**
 * Tells the caller that the ports are open. @param errorFd - Becomes the shim's standard error in
 * place of /dev/null.
 */
export function ready(exitFd: number, readyFd: number, errorFd?: number): Section {
  const section = plain('R', (to) => {
    to.i32(exitFd);
    to.i32(readyFd);
    to.flag(errorFd !== undefined);
  });
  return errorFd === undefined ? section : { ...section, fds: [errorFd] };
}

/** Answers a client of the reload socket, and closes the connection. */
export function replyToReload(client: number, reply: Uint8Array): Section {
  return plain('P', (to) => {
    to.u32(client);
    to.bytes(reply);
  });
}

/** Writes a line for the caller; nothing once the container is ready. */
export function warn(text: string): Section {
  return plain('W', (to) => to.text(text));
}

/** Ends the shim, which has not been ready, with a text for the caller. */
export function fail(text: string): Section {
  return plain('F', (to) => to.text(text));
}

/** Keeps notes for the next resident. */
export function keepBlob(blob: Uint8Array): Section {
  return plain('B', (to) => to.bytes(blob));
}

/** Whether the shim connects again by itself when the resident is gone. */
export function keepResident(keeps: boolean): Section {
  return plain('K', (to) => to.flag(keeps));
}

/** Has the shim, which has opened nothing yet, serve the container in a process of its own. */
export function useOwnProcess(): Section {
  return plain('Q', () => undefined);
}

/** Has the shim look for another resident. */
export function connectAgain(): Section {
  return plain('G', () => undefined);
}

function plain(kind: string, write: (to: Writer) => void): Section {
  return { kind, write, read: () => undefined };
}
