// wire.ts: the values that messages between a shim and the resident are made of: little-endian
// numbers, and bytes with their length before them.

import type { Endpoint } from '../types/endpoints.js';

const INITIAL_BYTES = 256;
const TWO_TO_32 = 2 ** 32;

/** A message that ends too early, or says what cannot be. */
export class WireError extends Error {
  static {
    this.prototype.name = 'WireError';
  }
}

/** Writes values one after the other. */
export class Writer {
  #buffer = Buffer.allocUnsafe(INITIAL_BYTES);
  #length = 0;

  /** All that was written; valid until the next write. */
  written(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  u8(value: number): void {
    const at = this.#grow(1);
    this.#buffer.writeUInt8(value, at);
  }

  flag(value: boolean): void {
    this.u8(value ? 1 : 0);
  }

  u16(value: number): void {
    const at = this.#grow(2);
    this.#buffer.writeUInt16LE(value, at);
  }

  u32(value: number): void {
    const at = this.#grow(4);
    this.#buffer.writeUInt32LE(value, at);
  }

  i32(value: number): void {
    const at = this.#grow(4);
    this.#buffer.writeInt32LE(value, at);
  }

  /** Any number up to 2^53, or a bigint. */
  u64(value: bigint | number): void {
    const at = this.#grow(8);
    this.#buffer.writeBigUInt64LE(BigInt(value), at);
  }

  i64(value: number): void {
    const at = this.#grow(8);
    this.#buffer.writeBigInt64LE(BigInt(value), at);
  }

  bytes(value: Uint8Array): void {
    this.u32(value.length);
    this.raw(value);
  }

  text(value: string): void {
    const length = Buffer.byteLength(value);
    this.u32(length);
    const at = this.#grow(length);
    this.#buffer.write(value, at);
  }

  endpoint({ address, port }: Endpoint): void {
    this.text(address);
    this.u16(port);
  }

  list<T>(values: readonly T[], write: (value: T) => void): void {
    this.u32(values.length);
    for (const value of values) write(value);
  }

  /** Without a length. */
  raw(value: Uint8Array): void {
    const at = this.#grow(value.length);
    this.#buffer.set(value, at);
  }

  /** Writes something with its length in bytes before it. */
  sized(write: () => void): void {
    const at = this.#grow(4);
    const start = this.#length;
    write();
    this.#buffer.writeUInt32LE(this.#length - start, at);
  }

  /** Makes room; where it is, in what is the buffer from now on. */
  #grow(bytes: number): number {
    const start = this.#length;
    this.#length += bytes;
    if (this.#length > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#length, 2 * this.#buffer.length));
      this.#buffer.copy(larger, 0, 0, start);
      this.#buffer = larger;
    }
    return start;
  }
}

/** Reads values one after the other. What is past the end is a {@link WireError}. */
export class Reader {
  readonly #buffer: Buffer;
  #at = 0;

  constructor(buffer: Buffer) {
    this.#buffer = buffer;
  }

  /** How many bytes are left. */
  get left(): number {
    return this.#buffer.length - this.#at;
  }

  u8(): number {
    return this.#buffer.readUInt8(this.#take(1));
  }

  flag(): boolean {
    return this.u8() !== 0;
  }

  u16(): number {
    return this.#buffer.readUInt16LE(this.#take(2));
  }

  u32(): number {
    return this.#buffer.readUInt32LE(this.#take(4));
  }

  i32(): number {
    return this.#buffer.readInt32LE(this.#take(4));
  }

  /** Exact up to 2^53, as counters are. */
  u64(): number {
    const at = this.#take(8);
    return this.#buffer.readUInt32LE(at) + TWO_TO_32 * this.#buffer.readUInt32LE(at + 4);
  }

  /** The same. */
  i64(): number {
    const at = this.#take(8);
    return this.#buffer.readUInt32LE(at) + TWO_TO_32 * this.#buffer.readInt32LE(at + 4);
  }

  /** A view, not a copy. */
  bytes(): Buffer {
    const length = this.u32();
    const at = this.#take(length);
    return this.#buffer.subarray(at, at + length);
  }

  text(): string {
    const length = this.u32();
    const at = this.#take(length);
    return this.#buffer.toString('utf8', at, at + length);
  }

  endpoint(): Endpoint {
    return { address: this.text(), port: this.u16() };
  }

  list<T>(read: () => T): T[] {
    return this.times(this.u32(), read);
  }

  times<T>(count: number, read: () => T): T[] {
    const values: T[] = [];
    for (let index = 0; index < count; index++) values.push(read());
    return values;
  }

  #take(bytes: number): number {
    const at = this.#at;
    if (bytes > this.#buffer.length - at) throw new WireError('a message ends too early');
    this.#at = at + bytes;
    return at;
  }
}
