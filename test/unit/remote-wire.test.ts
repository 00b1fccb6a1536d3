import { describe, expect, test } from 'vitest';
import { Reader, WireError, Writer } from '../../src/remote/wire.js';

const big = 2 ** 53 - 1;

function writeEach(to: Writer): void {
  to.u8(0xfe);
  to.flag(true);
  to.u16(0xfedc);
  to.u32(0xfedcba98);
  to.i32(-2);
  to.u64(big);
  to.i64(-big);
  to.text('größe \0 😀');
  to.bytes(Buffer.from([1, 2, 3]));
  to.endpoint({ address: '::1', port: 8080 });
  to.list([7, 8], (value) => to.u8(value));
  to.sized(() => to.text('within'));
}

function readEach(from: Reader): unknown[] {
  return [
    from.u8(),
    from.flag(),
    from.u16(),
    from.u32(),
    from.i32(),
    from.u64(),
    from.i64(),
    from.text(),
    [...from.bytes()],
    from.endpoint(),
    from.list(() => from.u8()),
    new Reader(from.bytes()).text(),
  ];
}

const written = (write: (to: Writer) => void): Buffer => {
  const to = new Writer();
  write(to);
  return Buffer.from(to.written());
};

describe('values on the wire', () => {
  test('are read as they were written', () => {
    const from = new Reader(written(writeEach));
    expect(readEach(from)).toEqual([
      ...[0xfe, true, 0xfedc, 0xfedcba98, -2, big, -big],
      ...['größe \0 😀', [1, 2, 3], { address: '::1', port: 8080 }, [7, 8], 'within'],
    ]);
    expect(from.left).toBe(0);
  });

  test('are little-endian, with lengths of 32 bits', () => {
    expect(written((to) => to.u16(0x0102)).toString('hex')).toBe('0201');
    expect(written((to) => to.u64(1n << 63n)).toString('hex')).toBe('0000000000000080');
    expect(written((to) => to.text('ab')).toString('hex')).toBe('020000006162');
  });

  test('that end too early at any byte are a WireError', () => {
    const whole = written(writeEach);
    for (let length = 0; length < whole.length; length++) {
      expect(() => readEach(new Reader(whole.subarray(0, length)))).toThrow(WireError);
    }
  });

  test('that announce more than there is are a WireError', () => {
    const from = new Reader(written((to) => to.u32(0xffffffff)));
    expect(() => from.list(() => from.u8())).toThrow(WireError);
  });
});

test('a writer keeps what it has when it grows', () => {
  const text = 'x'.repeat(100_000);
  const from = new Reader(
    written((to) => {
      to.u8(1);
      to.sized(() => to.text(text));
    }),
  );
  expect(from.u8()).toBe(1);
  expect(new Reader(from.bytes()).text() === text).toBe(true);
});
