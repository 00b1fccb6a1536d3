// shim-frames.ts: the frames between a shim and a resident, written down once more: a test that
// used the project's own code for them would not see it change.

/** Writes integers in little-endian order, and data with its length in front. */
export class Packer {
  readonly #parts: Buffer[] = [];

  u8(value: number): this {
    return this.#put(Buffer.from([value]));
  }

  u16(value: number): this {
    const bytes = Buffer.alloc(2);
    bytes.writeUInt16LE(value);
    return this.#put(bytes);
  }

  i32(value: number): this {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32LE(value);
    return this.#put(bytes);
  }

  u32(value: number): this {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    return this.#put(bytes);
  }

  u64(value: bigint): this {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(value);
    return this.#put(bytes);
  }

  bytes(value: Buffer | string): this {
    const bytes = Buffer.from(value);
    return this.u32(bytes.length).#put(bytes);
  }

  #put(part: Buffer): this {
    this.#parts.push(part);
    return this;
  }

  done(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

/** Reads what a {@link Packer} writes. */
export class Unpacker {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  u16(): number {
    return this.#bytes.readUInt16LE(this.#skip(2));
  }

  i32(): number {
    return this.#bytes.readInt32LE(this.#skip(4));
  }

  u32(): number {
    return this.#bytes.readUInt32LE(this.#skip(4));
  }

  u64(): bigint {
    return this.#bytes.readBigUInt64LE(this.#skip(8));
  }

  bytes(): Buffer {
    const length = this.u32();
    return this.#bytes.subarray(this.#skip(length), this.#at);
  }

  text(): string {
    return this.bytes().toString();
  }

  list<T>(read: () => T): T[] {
    return Array.from({ length: this.u32() }, read);
  }

  #skip(count: number): number {
    this.#at += count;
    return this.#at - count;
  }
}

/** A frame: a header of 8 bytes, and the payload. */
export function frame(kind: string, payload: Buffer = Buffer.alloc(0), fds = 0): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt32LE(payload.length);
  header.write(kind, 4, 'latin1');
  header.writeUInt8(fds, 5);
  return Buffer.concat([header, payload]);
}

export interface ReceivedFrame {
  readonly kind: string;
  readonly payload: Buffer;
}

/** Cuts a stream into its frames. */
export class FrameCutter {
  #rest = Buffer.alloc(0);

  push(chunk: Buffer): ReceivedFrame[] {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    const frames: ReceivedFrame[] = [];
    while (this.#rest.length >= 8) {
      const end = 8 + this.#rest.readUInt32LE(0);
      if (this.#rest.length < end) break;
      const kind = String.fromCharCode(this.#rest.readUInt8(4));
      frames.push({ kind, payload: this.#rest.subarray(8, end) });
      this.#rest = this.#rest.subarray(end);
    }
    return frames;
  }
}

/** One section of a request. */
export function section(kind: string, payload: Buffer = Buffer.alloc(0)): Buffer {
  return Buffer.concat([Buffer.from(kind, 'latin1'), new Packer().bytes(payload).done()]);
}

/** The section that has a shim report ready. */
export function readySection(exitFd = 3, readyFd = 4): Buffer {
  return section('R', new Packer().i32(exitFd).i32(readyFd).u8(0).done());
}

/** The section that makes an engine with one worker. */
export function engineSection(): Buffer {
  const packer = new Packer().i32(1).u64(0n).u64(1_048_576n);
  return section('E', packer.u32(500).u8(0).done());
}

/** The section that opens a TCP port of 127.0.0.1. */
export function openSection(port: number): Buffer {
  const packer = new Packer().u32(1).u8(0).u8(0).u16(1);
  return section('O', packer.bytes('127.0.0.1').u16(port).done());
}

/** What a shim says first, without what it adds once it is ready. */
export interface Hello {
  readonly protocol: number;
  readonly version: string;
  readonly isReady: boolean;
  readonly pid: number;
  readonly ageMs: bigint;
  readonly fileLimit: number;
  readonly inherited: readonly number[];
  readonly environment: Readonly<Record<string, string>>;
  readonly folder: string;
  readonly counters: readonly string[];
  readonly configuration: string;
}

export function readHello(payload: Buffer): Hello {
  const unpacker = new Unpacker(payload);
  return {
    protocol: unpacker.u16(),
    version: unpacker.text(),
    isReady: (unpacker.u32() & 1) === 1,
    pid: unpacker.i32(),
    ageMs: unpacker.u64(),
    fileLimit: unpacker.u32(),
    inherited: unpacker.list(() => unpacker.i32()),
    environment: Object.fromEntries(
      unpacker.list(() => [unpacker.text(), unpacker.text()] as const),
    ),
    folder: unpacker.text(),
    counters: unpacker.list(() => unpacker.text()),
    configuration: unpacker.text(),
  };
}

/** What became of a request. */
export interface Answer {
  readonly seq: number;
  readonly errno: number;
  readonly section: number;
  readonly index: number;
  readonly syscall: string;
  readonly results: readonly Buffer[];
}

export function readAnswer(payload: Buffer): Answer {
  const unpacker = new Unpacker(payload);
  return {
    seq: unpacker.u32(),
    errno: unpacker.i32(),
    section: unpacker.u32(),
    index: unpacker.u32(),
    syscall: unpacker.text(),
    results: unpacker.list(() => unpacker.bytes()),
  };
}
