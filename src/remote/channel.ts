// channel.ts: messages over a connected Unix stream socket, and descriptors with them.
//
// Before each message are eight bytes: its length, its kind, how many descriptors belong to it, and
// two zeros. The descriptors come with the first of these bytes, so they are there before the
// message is complete.

import { closeSync } from 'node:fs';
import { receiveWithFds, sendWithFds, watchFd, type FdWatcher } from '../system.js';

const HEADER_BYTES = 8;
/** The largest message. */
const MAX_PAYLOAD_BYTES = 64 * 1024 * 1024;
const MIN_READ_BYTES = 16 * 1024;
const MAX_READ_BYTES = 1024 * 1024;
/** What waits for a peer that does not read. A single message may be larger. */
const MAX_QUEUED_BYTES = 16 * 1024 * 1024;
const MAX_FDS = 0xff;

/** What a channel calls. */
export interface ChannelEvents {
  /** A message; its descriptors are the receiver's. */
  onMessage(kind: string, payload: Buffer, fds: readonly number[]): void;
  /**
   * The connection is over: by the peer (without an error), or by what the peer has sent, or by the
   * system.
   */
  onEnd(error?: unknown): void;
}

interface Outgoing {
  data: Buffer;
  fds: readonly number[];
}

/** One end of a connection. */
export class Channel {
  readonly #fd: number;
  readonly #events: ChannelEvents;
  readonly #watcher: FdWatcher;
  readonly #outgoing: Outgoing[] = [];
  #queuedBytes = 0;
  /** What has come of a message that is not complete, and of those after it. */
  #incoming: Buffer[] = [];
  #incomingBytes = 0;
  #incomingFds: number[] = [];
  #isOpen = true;
  #peerReads = true;

  /**
   * Starts to read.
   * @param fd - A connected non-blocking stream socket. Taken over, unless this throws.
   * @throws SpliceportSystemError such as `ENOSPC` if no watch is left
   */
  constructor(fd: number, events: ChannelEvents) {
    this.#fd = fd;
    this.#events = events;
    this.#watcher = watchFd(
      fd,
      () => this.#attempt(() => this.#receive()),
      () => this.#attempt(() => this.#sendQueued()),
    );
  }

  /** False once there is nobody to send to. */
  get peerReads(): boolean {
    return this.#peerReads;
  }

  /**
   * Sends a message, or queues it.
   * @param fds - Taken over: they are closed once they have been sent, or cannot be.
   * @returns Whether there was room for it, and somebody to send it to.
   */
  send(kind: string, payload: Uint8Array, fds: readonly number[] = []): boolean {
    const size = HEADER_BYTES + payload.length;
    const hasRoom = this.#queuedBytes === 0 || this.#queuedBytes + size <= MAX_QUEUED_BYTES;
    if (
      !this.#peerReads ||
      !hasRoom ||
      payload.length > MAX_PAYLOAD_BYTES ||
      fds.length > MAX_FDS
    ) {
      closeAll(fds);
      return false;
    }
    const data = Buffer.allocUnsafe(size);
    data.writeUInt32LE(payload.length, 0);
    data.writeUInt8(kind.charCodeAt(0), 4);
    data.writeUInt8(fds.length, 5);
    data.writeUInt16LE(0, 6);
    data.set(payload, HEADER_BYTES);
    this.#outgoing.push({ data, fds });
    this.#queuedBytes += size;
    if (this.#outgoing.length === 1) this.#attempt(() => this.#sendQueued());
    return this.#peerReads;
  }

  /** Closes the connection, without a call of {@link ChannelEvents.onEnd}. May be called twice. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#peerReads = false;
    this.#watcher.close();
    closeSync(this.#fd);
    this.#dropOutgoing();
    closeAll(this.#incomingFds.splice(0));
    this.#incoming = [];
    this.#incomingBytes = 0;
  }

  #dropOutgoing(): void {
    for (const { fds } of this.#outgoing.splice(0)) closeAll(fds);
  }

  #attempt(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#end(error);
    }
  }

  #end(error?: unknown): void {
    if (!this.#isOpen) return;
    this.close();
    this.#events.onEnd(error);
  }

  #sendQueued(): void {
    try {
      this.#sendSome();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error;
      // What it has sent before it left is still to be read, and then the end.
      this.#peerReads = false;
      this.#dropOutgoing();
    }
    this.#watcher.watchWrites(this.#outgoing.length > 0);
  }

  #sendSome(): void {
    for (let next = this.#outgoing[0]; next !== undefined; next = this.#outgoing[0]) {
      const count = sendWithFds(this.#fd, next.data, next.fds);
      if (count === 0) break;
      closeAll(next.fds);
      next.fds = [];
      this.#queuedBytes -= count;
      next.data = next.data.subarray(count);
      if (next.data.length > 0) break;
      this.#outgoing.shift();
    }
  }

  #receive(): void {
    const received = receiveWithFds(this.#fd, this.#bytesToRead());
    if (received === undefined) return;
    if (received.data.length === 0) {
      this.#end();
      return;
    }
    this.#incoming.push(received.data);
    this.#incomingBytes += received.data.length;
    this.#incomingFds.push(...received.fds);
    for (let size = this.#sizeOfNext(); size <= this.#incomingBytes; size = this.#sizeOfNext()) {
      this.#deliver(this.#takeIncoming(size));
    }
  }

  /** As much as the message still needs that has begun. */
  #bytesToRead(): number {
    const missing = this.#sizeOfNext() - this.#incomingBytes;
    return Math.min(Math.max(missing, MIN_READ_BYTES), MAX_READ_BYTES);
  }

  /**
   * Of the message that has begun, with its header; of the header alone while that is not complete.
   */
  #sizeOfNext(): number {
    if (this.#incomingBytes < HEADER_BYTES) return HEADER_BYTES;
    const first = this.#incoming[0];
    if (first === undefined || first.length < HEADER_BYTES) this.#joinIncoming();
    const length = this.#incoming[0]?.readUInt32LE(0) ?? 0;
    if (length > MAX_PAYLOAD_BYTES) throw new Error(`a message of ${length} bytes is too long`);
    return HEADER_BYTES + length;
  }

  #takeIncoming(size: number): Buffer {
    this.#joinIncoming();
    const all = this.#incoming[0] ?? Buffer.alloc(0);
    this.#incomingBytes -= size;
    this.#incoming = this.#incomingBytes > 0 ? [all.subarray(size)] : [];
    return all.subarray(0, size);
  }

  #joinIncoming(): void {
    if (this.#incoming.length > 1) this.#incoming = [Buffer.concat(this.#incoming)];
  }

  #deliver(message: Buffer): void {
    const count = message.readUInt8(5);
    if (count > this.#incomingFds.length) throw new Error('a message lacks its descriptors');
    const fds = this.#incomingFds.splice(0, count);
    const kind = String.fromCharCode(message.readUInt8(4));
    this.#events.onMessage(kind, message.subarray(HEADER_BYTES), fds);
  }
}

/** Closes descriptors. */
export function closeAll(fds: readonly number[]): void {
  for (const fd of fds) closeSync(fd);
}
